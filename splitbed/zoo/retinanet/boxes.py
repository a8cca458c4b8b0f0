"""The last layer of RetinaNet's graph: from the heads' maps to boxes, labels and scores.

What torchvision's ``RetinaNet.postprocess_detections`` does, with its default values, on one
picture of a size that is known. Two things are done in another order, with the same result: the
best candidates are found among logits, as the sigmoid keeps their order; and what scores too little
is left out by the suppression. Thus every shape but the last few is static.

Anchors are not stored: torchvision rounds their corners to whole pixels around the places of a
grid, so that centre and size of a candidate's follow from its place, exactly.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import NodeProto, TensorProto, helper, numpy_helper

from splitbed.zoo.retinanet.layers import ANCHORS, CLASSES, LEVELS

LAYER = "postprocess_detections"
MIN_SCORE = 0.05
MAX_CANDIDATES = 1000  # of a level
MAX_OVERLAP = 0.5
MAX_BOXES = 300
MAX_GROWTH = math.log(1000 / 16)


def side(pixels: int, level: int) -> int:
    """Places of a level's map along a side of the picture, which is a multiple of 32 pixels."""
    return -(-pixels // (1 << level))


def anchor_sizes(level: int) -> npt.NDArray[np.float32]:
    """Widths and heights, in pixels, of the 9 anchors around each place of a level's map, 9x2."""
    base = 2 ** (level + 2)
    scales = np.array([base, int(base * 2 ** (1 / 3)), int(base * 2 ** (2 / 3))], np.float32)
    tall = np.sqrt(np.array([0.5, 1, 2], np.float32))[:, np.newaxis]
    halves = np.stack([(1 / tall * scales).ravel() / 2, (tall * scales).ravel() / 2], axis=1)
    return np.asarray(2 * np.rint(halves), np.float32)


def nodes(
    logits: Sequence[str], offsets: Sequence[str], height: int, width: int
) -> tuple[list[NodeProto], list[TensorProto]]:
    """The layer's nodes, and the constants that they read.

    ``logits`` and ``offsets`` name the heads' maps, 1x819xHxW and 1x36xHxW, for each level. The
    nodes write ``boxes`` FP32 nx4 (left, top, right, bottom in pixels of the ``height`` x ``width``
    picture), ``labels`` INT64 n (0 to 90) and ``scores`` FP32 n; n is 0 to 300, scores fall.
    """
    layer = _Layer()
    found = [
        _candidates(layer, level, maps, height, width)
        for level, maps in zip(LEVELS, zip(logits, offsets, strict=True), strict=True)
    ]
    rows = (layer("Concat", *columns, axis=0) for columns in zip(*found, strict=True))
    scores, labels, deltas, sizes, centres = rows
    boxes = _boxes(layer, deltas, sizes, centres, height, width)
    _suppress(layer, boxes, labels, scores)
    return layer.nodes, layer.constants


class _Layer:
    """Nodes that count as one layer, as they are made."""

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []

    def __call__(
        self, op: str, *inputs: str, outputs: Sequence[str] = (), **attributes: Any
    ) -> str:
        """Adds a node; gives the name of its first output, made up unless ``outputs`` says."""
        name = f"/{LAYER}/{op}_{len(self.nodes)}"
        outputs = list(outputs) or [f"{name}_output_0"]
        node = helper.make_node(op, list(inputs), outputs, name=name, **attributes)
        node.metadata_props.add(key="layer", value=LAYER)
        self.nodes.append(node)
        return outputs[0]

    def floats(self, values: npt.ArrayLike) -> str:
        return self._constant(np.array(values, np.float32))

    def ints(self, values: npt.ArrayLike) -> str:
        return self._constant(np.array(values, np.int64))

    def _constant(self, values: npt.NDArray[np.generic]) -> str:
        name = f"/{LAYER}/Constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(values, name))
        return name


def _candidates(
    layer: _Layer, level: int, maps: tuple[str, str], height: int, width: int
) -> tuple[str, str, str, str, str]:
    """Scores, labels, offsets nx4, anchors' sizes nx2 and centres nx2 of a level's best."""
    logits, offsets = maps
    rows, columns = side(height, level), side(width, level)
    area = rows * columns
    flat = layer("Reshape", logits, layer.ints([-1]))
    most = layer.ints([min(MAX_CANDIDATES, ANCHORS * CLASSES * area)])
    best, index = f"best_{level}", f"index_{level}"
    layer("TopK", flat, most, outputs=(best, index))
    # the index counts anchors, then classes, then rows, then columns
    place = layer("Mod", index, layer.ints(area))
    channel = layer("Div", index, layer.ints(area))
    label = layer("Mod", channel, layer.ints(CLASSES))
    anchor = layer("Div", channel, layer.ints(CLASSES))

    first = layer("Add", layer("Mul", anchor, layer.ints(4 * area)), place)
    four = layer("Add", _upright(layer, first), layer.ints([[0, area, 2 * area, 3 * area]]))
    deltas = layer("Gather", layer("Reshape", offsets, layer.ints([-1])), four)
    sizes = layer("Gather", layer.floats(anchor_sizes(level)), anchor)
    x = layer("Mod", place, layer.ints(columns))
    y = layer("Div", place, layer.ints(columns))
    grid = layer("Concat", _upright(layer, x), _upright(layer, y), axis=1)
    # torchvision takes whole pixels for the stride, also where the map's side does not divide
    pixels = layer("Mul", grid, layer.ints([[width // columns, height // rows]]))
    centres = layer("Cast", pixels, to=TensorProto.FLOAT)
    return layer("Sigmoid", best), label, deltas, sizes, centres


def _upright(layer: _Layer, column: str) -> str:
    return layer("Unsqueeze", column, layer.ints([1]))


def _boxes(layer: _Layer, deltas: str, sizes: str, centres: str, height: int, width: int) -> str:
    """Left, top, right, bottom of the candidates, within the picture."""
    move, growth = f"{deltas}_move", f"{deltas}_growth"
    layer("Split", deltas, layer.ints([2, 2]), outputs=(move, growth), axis=1)
    centre = layer("Add", layer("Mul", move, sizes), centres)
    grown = layer("Exp", layer("Min", growth, layer.floats(MAX_GROWTH)))
    half = layer("Mul", layer("Mul", grown, sizes), layer.floats(0.5))
    corners = layer("Sub", centre, half), layer("Add", centre, half)
    boxes = layer("Max", layer("Concat", *corners, axis=1), layer.floats(0))
    return layer("Min", boxes, layer.floats([[width, height, width, height]]))


def _suppress(layer: _Layer, boxes: str, labels: str, scores: str) -> None:
    """The best boxes of those that are left of each class."""
    classes = layer.ints(np.arange(CLASSES)[:, np.newaxis])
    of_class = layer("Where", layer("Equal", labels, classes), scores, layer.floats(0))
    kept = layer(
        "NonMaxSuppression",
        layer("Unsqueeze", boxes, layer.ints([0])),
        layer("Unsqueeze", of_class, layer.ints([0])),
        layer.ints([MAX_BOXES]),
        layer.floats([MAX_OVERLAP]),
        layer.floats([MIN_SCORE]),
    )
    chosen = layer("Gather", kept, layer.ints(2), axis=1)
    left = layer("Gather", scores, chosen)
    count = layer("Min", layer("Shape", left), layer.ints([MAX_BOXES]))
    layer("TopK", left, count, outputs=("scores", "order"))
    ordered = layer("Gather", chosen, "order")
    layer("Gather", boxes, ordered, outputs=("boxes",))
    layer("Gather", labels, ordered, outputs=("labels",))
