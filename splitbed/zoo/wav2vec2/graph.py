"""The ONNX graph of a :class:`Layout`.

Input ``waveform`` FP32 1xSAMPLES at 16 kHz, output ``logits`` FP32 1xFRAMESx29. There is one
utterance at a time and no mask, so that frames are rows: every matrix is kept as the state dict
has it, and read by Gemm.
"""

from collections.abc import Mapping

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from splitbed.tasks.transcripts import LABELS
from splitbed.zoo.layers import Floats
from splitbed.zoo.onnx_writer import model_of
from splitbed.zoo.transformer import EPSILON, TransformerNodes, path
from splitbed.zoo.wav2vec2.layout import (
    EXTRACTOR,
    POSITIONS,
    PROJECTION,
    TRANSFORMER,
    Layout,
)

WAVEFORM, LOGITS = "waveform", "logits"

Weights = Mapping[str, Floats]
"""By the names of the state dict; the weight of :data:`POSITIONS` as a convolution reads it."""


def to_onnx(layout: Layout, weights: Weights, origin: str) -> onnx.ModelProto:
    """The model; ``origin`` says where its weights come from."""
    network = _Network(layout)
    network.build()
    held = [numpy_helper.from_array(values, name) for name, values in weights.items()]
    constants = [numpy_helper.from_array(v, name) for name, v in network.constants.items()]
    waveform = helper.make_tensor_value_info(WAVEFORM, TensorProto.FLOAT, [1, "samples"])
    logits = helper.make_tensor_value_info(LOGITS, TensorProto.FLOAT, [1, "frames", len(LABELS)])
    graph = helper.make_graph(network.nodes, layout.name, [waveform], [logits], [*held, *constants])
    return model_of(graph, origin)


class _Network(TransformerNodes):
    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        super().__init__(layout.width, layout.heads, LOGITS, norm_first=layout.norm_first)
        first = self.constants["first"]  # in this order: the file's hash is in runs of before
        self.constants = {"first": first, "second": np.array([1]), **self.constants}

    def build(self) -> None:
        frames = self._extracted()
        frames = self.linear(PROJECTION + ".projection", self.norm(PROJECTION, frames))
        frames = self.node("Add", "/encoder/transformer/Add", frames, self._positions(frames))
        whole = f"{TRANSFORMER}.layer_norm"
        if not self.layout.norm_first:
            frames = self.norm(whole, frames)
        for at in range(self.layout.layers):
            frames = self.layer(f"{TRANSFORMER}.layers.{at}", frames)
        if self.layout.norm_first:
            frames = self.norm(whole, frames)
        self.put_out(self.linear("aux", frames))

    def _extracted(self) -> str:
        """Frames x channels of the waveform."""
        x = self.node("Unsqueeze", "/feature_extractor/Unsqueeze", WAVEFORM, "second")
        for at, stride in enumerate(self.layout.strides):
            row = f"{EXTRACTOR}.{at}"
            x = self.node(
                "Conv", path(f"{row}.conv", "Conv"), x, f"{row}.conv.weight", strides=[stride]
            )
            if self.layout.per_frame:
                x = self._turned(f"{row}.layer_norm", x, 1)
                x = self.norm(f"{row}.layer_norm", x)
                x = self._turned(f"{row}.layer_norm", x, 2)
            elif at == 0:  # a group of its own for each channel
                norm = f"{row}.layer_norm"
                x = self.node(
                    "InstanceNormalization", path(norm, "InstanceNormalization"), x,
                    f"{norm}.weight", f"{norm}.bias", epsilon=EPSILON,
                )  # fmt: skip
            x = self.gelu(row, x)
        return self._as_rows("feature_extractor", x)

    def _positions(self, frames: str) -> str:
        """What a wide convolution tells of each frame's neighbours."""
        root, kernel = f"{TRANSFORMER}.pos_conv_embed", self.layout.positions
        x = self.node("Transpose", path(root, "Transpose_1"), frames, perm=[1, 0])
        x = self.node("Unsqueeze", path(root, "Unsqueeze"), x, "first")
        x = self.node(
            "Conv", path(POSITIONS, "Conv"), x, f"{POSITIONS}.weight", f"{POSITIONS}.bias",
            pads=[kernel // 2, (kernel - 1) // 2], group=self.layout.groups,
        )  # fmt: skip
        return self._as_rows(root, self.gelu(root, x))

    def _turned(self, name: str, x: str, number: int) -> str:
        return self.node("Transpose", path(name, f"Transpose_{number}"), x, perm=[0, 2, 1])

    def _as_rows(self, name: str, x: str) -> str:
        x = self.node("Squeeze", path(name, "Squeeze"), x, "first")
        return self.node("Transpose", path(name, "Transpose"), x, perm=[1, 0])
