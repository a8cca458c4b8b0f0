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
from splitbed.zoo.onnx_writer import OnnxWriter, model_of
from splitbed.zoo.wav2vec2.layout import (
    EXTRACTOR,
    POSITIONS,
    PROJECTION,
    TRANSFORMER,
    Layout,
)

WAVEFORM, LOGITS = "waveform", "logits"
EPSILON = 1e-5
_WRITER = OnnxWriter(lambda node: LOGITS if node == "/Unsqueeze" else f"{node}_output_0")

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


class _Network:
    """Adds node after node; methods take and give names of tensors."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.nodes: list[onnx.NodeProto] = []
        self.constants = {
            "first": np.array([0]), "second": np.array([1]),
            "heads": np.array([-1, layout.heads, layout.width // layout.heads]),
            "rows": np.array([-1, layout.width]),
            **{
                name: np.array(value, np.float32)
                for name, value in (
                    ("half", 0.5), ("one", 1), ("sqrt_2", 2**0.5),
                    ("scale", (layout.width // layout.heads) ** -0.5),
                )
            },
        }  # fmt: skip

    def build(self) -> None:
        frames = self._extracted()
        frames = self._linear(PROJECTION + ".projection", self._norm(PROJECTION, frames))
        frames = self._node("Add", "/encoder/transformer/Add", frames, self._positions(frames))
        whole = f"{TRANSFORMER}.layer_norm"
        if not self.layout.norm_first:
            frames = self._norm(whole, frames)
        for at in range(self.layout.layers):
            frames = self._layer(f"{TRANSFORMER}.layers.{at}", frames)
        if self.layout.norm_first:
            frames = self._norm(whole, frames)
        self._node("Unsqueeze", "/Unsqueeze", self._linear("aux", frames), "first")

    def _extracted(self) -> str:
        """Frames x channels of the waveform."""
        x = self._node("Unsqueeze", "/feature_extractor/Unsqueeze", WAVEFORM, "second")
        for at, stride in enumerate(self.layout.strides):
            row = f"{EXTRACTOR}.{at}"
            x = self._node(
                "Conv", _path(f"{row}.conv", "Conv"), x, f"{row}.conv.weight", strides=[stride]
            )
            if self.layout.per_frame:
                x = self._turned(f"{row}.layer_norm", x, 1)
                x = self._norm(f"{row}.layer_norm", x)
                x = self._turned(f"{row}.layer_norm", x, 2)
            elif at == 0:  # a group of its own for each channel
                norm = f"{row}.layer_norm"
                x = self._node(
                    "InstanceNormalization", _path(norm, "InstanceNormalization"), x,
                    f"{norm}.weight", f"{norm}.bias", epsilon=EPSILON,
                )  # fmt: skip
            x = self._gelu(row, x)
        return self._as_rows("feature_extractor", x)

    def _positions(self, frames: str) -> str:
        """What a wide convolution tells of each frame's neighbours."""
        root, kernel = f"{TRANSFORMER}.pos_conv_embed", self.layout.positions
        x = self._node("Transpose", _path(root, "Transpose_1"), frames, perm=[1, 0])
        x = self._node("Unsqueeze", _path(root, "Unsqueeze"), x, "first")
        x = self._node(
            "Conv", _path(POSITIONS, "Conv"), x, f"{POSITIONS}.weight", f"{POSITIONS}.bias",
            pads=[kernel // 2, (kernel - 1) // 2], group=self.layout.groups,
        )  # fmt: skip
        return self._as_rows(root, self._gelu(root, x))

    def _layer(self, name: str, x: str) -> str:
        before, after = f"{name}.layer_norm", f"{name}.final_layer_norm"
        first = self.layout.norm_first
        mixed = self._attention(f"{name}.attention", self._norm(before, x) if first else x)
        x = self._node("Add", _path(name, "Add_1"), x, mixed)
        if not first:
            x = self._norm(before, x)
        forward = self._norm(after, x) if first else x
        forward = self._linear(f"{name}.feed_forward.intermediate_dense", forward)
        forward = self._gelu(f"{name}.feed_forward", forward)
        forward = self._linear(f"{name}.feed_forward.output_dense", forward)
        x = self._node("Add", _path(name, "Add_2"), x, forward)
        return x if first else self._norm(after, x)

    def _attention(self, name: str, x: str) -> str:
        q, k, v = (
            self._node("Reshape", _path(f"{name}.{row}", "Reshape"),
                       self._linear(f"{name}.{row}", x), "heads")
            for row in ("q_proj", "k_proj", "v_proj")
        )  # fmt: skip
        q = self._node("Mul", _path(name, "Mul"), q, "scale")
        q = self._node("Transpose", _path(f"{name}.q_proj", "Transpose"), q, perm=[1, 0, 2])
        k = self._node("Transpose", _path(f"{name}.k_proj", "Transpose"), k, perm=[1, 2, 0])
        v = self._node("Transpose", _path(f"{name}.v_proj", "Transpose"), v, perm=[1, 0, 2])
        odds = self._node("MatMul", _path(name, "MatMul_1"), q, k)
        odds = self._node("Softmax", _path(name, "Softmax"), odds, axis=-1)
        mixed = self._node("MatMul", _path(name, "MatMul_2"), odds, v)
        mixed = self._node("Transpose", _path(name, "Transpose"), mixed, perm=[1, 0, 2])
        mixed = self._node("Reshape", _path(name, "Reshape"), mixed, "rows")
        return self._linear(f"{name}.out_proj", mixed)

    def _linear(self, name: str, x: str) -> str:
        return self._node(
            "Gemm", _path(name, "Gemm"), x, f"{name}.weight", f"{name}.bias", transB=1
        )

    def _norm(self, name: str, x: str) -> str:
        """Over the last axis; ``name`` with or without ``.layer_norm``."""
        name = name if name.endswith("layer_norm") else f"{name}.layer_norm"
        node = _path(name, "LayerNormalization")
        return self._node(
            "LayerNormalization", node, x, f"{name}.weight", f"{name}.bias", epsilon=EPSILON
        )

    def _gelu(self, name: str, x: str) -> str:
        """The exact one, as nodes that ONNX Runtime makes one of."""
        bent = self._node("Div", _path(name, "Div"), x, "sqrt_2")
        bent = self._node("Erf", _path(name, "Erf"), bent)
        bent = self._node("Add", _path(name, "Add"), bent, "one")
        bent = self._node("Mul", _path(name, "Mul"), x, bent)
        return self._node("Mul", _path(name, "Mul_1"), bent, "half")

    def _turned(self, name: str, x: str, number: int) -> str:
        return self._node("Transpose", _path(name, f"Transpose_{number}"), x, perm=[0, 2, 1])

    def _as_rows(self, name: str, x: str) -> str:
        x = self._node("Squeeze", _path(name, "Squeeze"), x, "first")
        return self._node("Transpose", _path(name, "Transpose"), x, perm=[1, 0])

    def _node(self, kind: str, name: str, *inputs: str, **attributes: object) -> str:
        made = _WRITER.node(kind, name, *inputs, **attributes)
        self.nodes.append(made)
        return made.output[0]


def _path(module: str, kind: str) -> str:
    """The name of a node of a module, as an exporter gives it."""
    return f"/{module.replace('.', '/')}/{kind}"
