"""TextNet, Splitbed's own small language model, as an ONNX graph: no anchor model of the document.

A decoder of four layers (Radford et al., 2019: normalisation first, learnt positions) whose tokens
are bytes. Input ``tokens`` INT64 1xLENGTH, of up to 128; output ``logits`` FP32 1xLENGTHx256, at
each place those of the token that follows it. A place sees none behind it, so that what fills a
short text up at its end changes nothing of what is said before.

There is no cache of keys and values: each frame is a whole text that is computed at once. So the
rows of all places cross a cut, LENGTHx128, and nothing is kept from one frame to the next.

``scripts/train-textnet`` made the weights.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from splitbed.zoo import checkpoints
from splitbed.zoo.layers import BLANK, Floats
from splitbed.zoo.onnx_writer import model_of
from splitbed.zoo.transformer import (
    Shape,
    TransformerNodes,
    layer_shapes,
    linear_shapes,
    norm_shapes,
)

TOKENS, LOGITS = "tokens", "logits"
VOCABULARY, LONGEST = 256, 128
WIDTH, LAYERS, HEADS, INNER = 128, 4, 4, 512
TRAINED = Path(__file__).with_name("textnet.safetensors")
SEED = 1
"""Of the training that made ``TRAINED``."""
HIDDEN = -1e9
"""What a place is to those before it, ahead of the softmax."""


def build(seed: int | None = 0, weights: Path | None = None) -> tuple[bytes, str]:
    """The model file, and a line that says which weights it holds.

    They are the trained ones, unless others are given; without a ``seed`` they are zeros.

    Raises:
        UsageError: the file cannot be read or does not fit; every misfit is named.
        MachineError: a ``.pt`` file, and torch is not installed.
    """
    if weights is None and seed is None:
        zeros = {name: np.zeros(shape, np.float32) for name, shape in shapes().items()}
        return to_onnx(zeros, BLANK).SerializeToString(), BLANK
    state, origin = load(weights or TRAINED)
    if weights is None:
        origin = checkpoints.trained_on("generated sentences", SEED, TRAINED)
    return to_onnx(state, origin).SerializeToString(), origin


def load(path: Path) -> tuple[dict[str, Floats], str]:
    """The state dict in a file, as FP32, and a line that says which file it is. Raises as build."""
    state = {checkpoints.plain(name): held for name, held in checkpoints.read(path).items()}
    return checkpoints.exact(path, state, shapes())


def shapes() -> dict[str, Shape]:
    """Every tensor of the state dict, in the network's order."""
    return dict(_shapes())


def _shapes() -> Iterator[tuple[str, Shape]]:
    yield "embedding.weight", (VOCABULARY, WIDTH)
    yield "positions.weight", (LONGEST, WIDTH)
    for at in range(LAYERS):
        yield from layer_shapes(f"layers.{at}", WIDTH, INNER)
    yield from norm_shapes("layer_norm", WIDTH)
    yield from linear_shapes("head", WIDTH, VOCABULARY)


def to_onnx(weights: Mapping[str, Floats], origin: str) -> onnx.ModelProto:
    """The model; ``origin`` says where its weights come from."""
    network = _Network()
    network.build()
    held = {**weights, **network.constants}
    graph = helper.make_graph(
        network.nodes,
        "textnet",
        [helper.make_tensor_value_info(TOKENS, TensorProto.INT64, [1, "length"])],
        [helper.make_tensor_value_info(LOGITS, TensorProto.FLOAT, [1, "length", VOCABULARY])],
        [numpy_helper.from_array(values, name) for name, values in held.items()],
    )
    return model_of(graph, origin)


class _Network(TransformerNodes):
    def __init__(self) -> None:
        super().__init__(WIDTH, HEADS, LOGITS, norm_first=True)
        self.constants["above"] = np.array(1)

    def build(self) -> None:
        length = self.node("Shape", "/Shape", TOKENS, start=1)
        x = self.node("Gather", "/embedding/Gather", "embedding.weight", TOKENS)
        x = self.node("Squeeze", "/embedding/Squeeze", x, "first")
        places = self.node("Slice", "/positions/Slice", "positions.weight", "first", length)
        x = self.node("Add", "/embedding/Add", x, places)
        mask = self._mask(length)
        for at in range(LAYERS):
            x = self.layer(f"layers.{at}", x, mask)
        self.put_out(self.linear("head", self.norm("layer_norm", x)))

    def _mask(self, length: str) -> str:
        """Hides what is behind a place."""
        square = self.node("Concat", "/mask/Concat", length, length, axis=0)
        hidden = numpy_helper.from_array(np.array([HIDDEN], np.float32))
        square = self.node("ConstantOfShape", "/mask/ConstantOfShape", square, value=hidden)
        return self.node("Trilu", "/mask/Trilu", square, "above", upper=1)
