"""RetinaNet with ResNet-50 and a feature pyramid, the anchor model of clause 10.3.8.1, in ONNX.

The network is torchvision's ``retinanet_resnet50_fpn``. Input ``images`` FP32 1x3x800x1280,
normalised; outputs ``boxes`` FP32 nx4 (left, top, right, bottom in pixels of the input), ``labels``
INT64 n (COCO's ids, 1 to 90) and ``scores`` FP32 n, best first.

Nodes are named as in the PyTorch export, batch norm folded into the convolutions. Right after
``/backbone/fpn/extra_blocks/p6/Conv`` the four pyramid maps of clause 10.3.9.1 cross, and nothing
else: anchors and the picture's size are constants, so part 2 takes no dummy picture. What follows
the heads is one layer (:mod:`splitbed.zoo.retinanet.boxes`).

The network has 34,014,999 parameters as torchvision counts them: batch norm is frozen, so its
numbers are none. Folding gives each of the body's 26,560 channels a bias, so the graph holds
34,041,559, or 136.2 MB.

The clause gives 149.433, 120.731 and 28.840 MB for its whole model and parts. Its MB is 1000 KiB:
they are 153.0, 123.6 and 29.5 million bytes, which is what the 38.2 million parameters of
torchvision's ``retinanet_resnet50_fpn_v2`` take (level 6 from 2048 channels), not those of this
network, whose parts are 107.1 and 29.2 MB. The maps that cross are of the same sizes.
"""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import onnx
from onnx import TensorProto, helper

from splitbed.zoo.layers import BLANK, Conv, Weights, blank
from splitbed.zoo.onnx_writer import OnnxWriter, initializers, model_of
from splitbed.zoo.retinanet import boxes as retinanet_boxes
from splitbed.zoo.retinanet import seeded as retinanet_seeded
from splitbed.zoo.retinanet import weights as retinanet_weights
from splitbed.zoo.retinanet.layers import IMAGE, Row, convolutions, head_maps, rows

IR_VERSION = 10  # the first whose nodes bear metadata
HEIGHT, WIDTH = 800, 1280
WINDOW = {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}
TWICE = "twice"


def build(
    seed: int | None = 0, weights: Path | None = None, height: int = HEIGHT, width: int = WIDTH
) -> onnx.ModelProto:
    """The whole model: seeded weights, zeros where ``seed`` is None, or the checkpoint ``weights``.

    ``height`` and ``width`` of the input are multiples of 32. ``metadata_props`` says which
    weights: ``seeded (seed 0)`` or ``FILE sha256:…``.

    Raises:
        UsageError: the checkpoint cannot be read or does not fit; every misfit is named.
        MachineError: a ``.pth`` checkpoint, and torch is not installed.
    """
    if weights is not None:
        held, origin = retinanet_weights.load(weights, convolutions())
    elif seed is None:
        held, origin = blank((row.module, row.shape) for row in convolutions()), BLANK
    else:
        held, origin = retinanet_seeded.weights(rows(), seed), f"seeded (seed {seed})"
    return to_onnx(held, origin, height, width)


def to_onnx(weights: Weights, origin: str, height: int, width: int) -> onnx.ModelProto:
    """The graph with ``weights``; ``origin`` says where these come from."""
    logits, offsets = (
        [_tensor(node) for node in head_maps(head)]
        for head in ("classification_head/cls_logits", "regression_head/bbox_reg")
    )
    found, constants = retinanet_boxes.nodes(logits, offsets, height, width)
    twice = helper.make_tensor(TWICE, TensorProto.FLOAT, [4], [1, 1, 2, 2])
    graph = helper.make_graph(
        [*(node for row in rows() for node in _nodes(row)), *found],
        "retinanet",
        [helper.make_tensor_value_info(IMAGE, TensorProto.FLOAT, [1, 3, height, width])],
        [
            helper.make_tensor_value_info("boxes", TensorProto.FLOAT, ["n", 4]),
            helper.make_tensor_value_info("labels", TensorProto.INT64, ["n"]),
            helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n"]),
        ],
        [*initializers(weights, weights), twice, *constants],
    )
    return model_of(graph, origin, IR_VERSION)


def parameters(layers: Sequence[Conv]) -> int:
    """How many numbers training learns; modules that several rows share count once."""
    modules = {layer.module: layer for layer in layers}.values()
    return sum(math.prod(layer.shape) + (0 if layer.norm else layer.outputs) for layer in modules)


def _nodes(row: Row) -> Iterator[onnx.NodeProto]:
    if not isinstance(row, Conv):
        match row.op:
            case "MaxPool":
                yield _WRITER.node("MaxPool", row.node, _tensor(row.source), **WINDOW)
            case "Resize":
                yield _WRITER.node(
                    "Resize", row.node, _tensor(row.source), "", TWICE, mode="nearest",
                    coordinate_transformation_mode="asymmetric", nearest_mode="floor",
                )  # fmt: skip
            case _:
                yield _WRITER.node(row.op, row.node, _tensor(row.source))
        return
    yield from _WRITER.conv(row)


def _tensor(node: str) -> str:
    return node if node == IMAGE else f"{node}_output_0"


_WRITER = OnnxWriter(_tensor)
