"""A classifier of clause 10.6.4 as an ONNX graph.

Input ``image`` FP32 1x3x224x224, or 1x3x64x64 of the small ones; output ``logits`` FP32, one for
each class.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import onnx
from onnx import TensorProto, helper

from splitbed.zoo.classifiers import checkpoint, seeded
from splitbed.zoo.classifiers.networks import IMAGE, Row, learnt, network
from splitbed.zoo.layers import BLANK, Conv, Weightless, Weights, blank
from splitbed.zoo.onnx_writer import OnnxWriter, caps, initializers, model_of

SIDE = 224
LOGITS = "logits"
POOLS = {  # of VGG16, and of ResNet18's stem
    "features": {"kernel_shape": [2, 2], "strides": [2, 2]},
    "maxpool": {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]},
}


def build(name: str, seed: int | None = 0, weights: Path | None = None) -> onnx.ModelProto:
    """The network called ``name``, with as many classes as the checkpoint ``weights`` has.

    Without a checkpoint: as clause 10.6.4 has it, with seeded weights, or zeros where ``seed`` is
    None. ``metadata_props`` says which: ``weights`` is ``seeded (seed 0)`` or ``FILE sha256:…``.

    Raises:
        UsageError: the checkpoint cannot be read or does not fit; every misfit is named.
        MachineError: a ``.pt`` checkpoint, and torch is not installed.
    """
    if weights is not None:
        return to_onnx(name, *checkpoint.load(name, weights))
    rows = tuple(network(name))
    if seed is None:
        shapes = ((row.module, row.shape) for row in learnt(rows))
        return to_onnx(name, rows, blank(shapes), BLANK)
    return to_onnx(name, rows, seeded.weights(rows, seed), f"seeded (seed {seed})")


def to_onnx(
    name: str, rows: Sequence[Row], weights: Weights, origin: str, side: int = SIDE
) -> onnx.ModelProto:
    """The graph of ``rows`` with ``weights``; ``origin`` says where these come from."""
    layers = learnt(rows)
    capped = any(isinstance(row, Conv) and row.capped for row in layers)
    writer = OnnxWriter(lambda node: LOGITS if node == rows[-1].last else _tensor(node))
    graph = helper.make_graph(
        [node for row in rows for node in _nodes(row, writer)],
        name,
        [helper.make_tensor_value_info(IMAGE, TensorProto.FLOAT, [1, 3, side, side])],
        [helper.make_tensor_value_info(LOGITS, TensorProto.FLOAT, [1, layers[-1].outputs])],
        [*initializers((row.module for row in layers), weights), *(caps() if capped else ())],
    )
    return model_of(graph, origin)


def parameters(rows: Iterable[Row]) -> int:
    """How many numbers training learns, batch norm not folded."""
    return sum(math.prod(row.shape) + row.outputs * (2 if row.norm else 1) for row in learnt(rows))


def _nodes(row: Row, writer: OnnxWriter) -> Iterator[onnx.NodeProto]:
    if isinstance(row, Conv):
        yield from writer.conv(row)
    elif isinstance(row, Weightless):
        window = POOLS[row.node.split("/")[1]] if row.op == "MaxPool" else {}
        yield writer.node(row.op, row.node, _tensor(row.source), **window)
    else:
        yield from writer.linear(row)


def _tensor(node: str) -> str:
    return node if node == IMAGE else f"{node}_output_0"
