"""ShapesNet, Splitbed's own test detector, as an ONNX graph: no anchor model of the document.

A residual network finds the six shapes of :mod:`splitbed.media.shapes` as CenterNet and FCOS do.
Input ``image`` FP32 1x3x192x256; outputs ``heat`` FP32 1x6x24x32, a logit for the middle of an
object of each class at each place, and ``sides`` FP32 1x4x24x32, the logarithm of the distances
from there to the object's left, top, right and bottom, in steps of 8 pixels
(:mod:`splitbed.tasks.centres` reads them).

All maps that a named split crosses are behind a ReLU.  They shrink from 786 kB to 74 kB, where the
picture has 147 kB as pixels: a detector behind the narrowest has nothing else to go by.

``scripts/train-shapesnet`` made the weights; it trains the rows of :func:`layers`, batch norm and
all, under the same names.
"""

from collections.abc import Iterator
from pathlib import Path

import onnx
from onnx import TensorProto, helper

from splitbed.media.shapes import HEIGHT, WIDTH
from splitbed.tasks.classes import SHAPES
from splitbed.zoo import checkpoints
from splitbed.zoo.layers import Conv, Weights
from splitbed.zoo.onnx_writer import OnnxWriter, initializers, model_of

IMAGE = "image"
STRIDE = 8
UP = "/neck/DepthToSpace"
TRAINED = Path(__file__).with_name("shapesnet.safetensors")
SEED = 1
"""Of the training that made ``TRAINED``."""
STAGES = ((16, 32, 1), (32, 64, 2), (64, 96, 2))
"""Channels in and out, blocks; the first block of each halves the map."""
HEADS = {"heat": len(SHAPES), "sides": 4}


def build(weights: Path | None = None) -> tuple[bytes, str]:
    """The model file, and a line that says which weights it holds.

    That line, which the file holds too, is ``trained on shapes (seed 1), sha256:…``, or
    ``FILE sha256:…`` of ``weights``: a .safetensors, .npz or .pt file of the same names.

    Raises:
        UsageError: the file cannot be read or does not fit; every misfit is named.
        MachineError: a ``.pt`` file, and torch is not installed.
    """
    rows = tuple(layers())
    held, origin = checkpoints.load(weights or TRAINED, rows)
    if weights is None:
        origin = checkpoints.trained_on("shapes", SEED, TRAINED)
    return to_onnx(rows, held, origin).SerializeToString(), origin


def layers() -> Iterator[Conv]:
    """Stem, three stages, the neck that doubles the map again, one more block, and the heads."""
    yield Conv("stem", "/stem/Conv", IMAGE, 3, 16, 5, 2, 2, "stem_norm", relu="/stem/Relu")
    source = "/stem/Relu"
    for stage, (inputs, outputs, blocks) in enumerate(STAGES, start=1):
        for block in range(blocks):
            rows = _block(f"stage{stage}.{block}", source, outputs if block else inputs, outputs)
            yield from rows
            source = rows[-1].last
    yield Conv("neck", "/neck/Conv", source, 96, 256, norm="neck_norm", relu="/neck/Relu")
    rows = _block("fuse", UP, 64, 64)
    yield from rows
    for head, outputs in HEADS.items():
        relu = f"/{head}/Relu"
        yield Conv(
            f"{head}.0", f"/{head}/0/Conv", rows[-1].last, 64, 64, 3, 1, 1, f"{head}.0_norm",
            relu=relu,
        )  # fmt: skip
        yield Conv(f"{head}.1", f"/{head}/1/Conv", relu, 64, outputs)


def _block(name: str, source: str, inputs: int, outputs: int) -> list[Conv]:
    """Two convolutions and what goes around them, which is one where channels change."""
    node = "/" + name.replace(".", "/")
    widens = inputs != outputs
    middle, add, relu = f"{node}/relu_1/Relu", f"{node}/Add", f"{node}/relu_2/Relu"
    rows = [
        Conv(
            f"{name}.conv1", f"{node}/conv1/Conv", source, inputs, outputs, 3, 2 if widens else 1,
            1, f"{name}.norm1", relu=middle,
        ),
    ]  # fmt: skip
    last = f"{name}.conv2", f"{node}/conv2/Conv", middle, outputs, outputs, 3, 1, 1
    if not widens:
        return [*rows, Conv(*last, f"{name}.norm2", adds=source, add=add, relu=relu)]
    rows.append(Conv(*last, f"{name}.norm2"))
    rows.append(
        Conv(
            f"{name}.around", f"{node}/around/Conv", source, inputs, outputs, 1, 2, 0,
            f"{name}.around_norm", adds=rows[-1].node, add=add, relu=relu,
        )
    )  # fmt: skip
    return rows


def to_onnx(rows: tuple[Conv, ...], weights: Weights, origin: str) -> onnx.ModelProto:
    """The graph of ``rows`` with ``weights``; ``origin`` says where these come from."""
    places = [HEIGHT // STRIDE, WIDTH // STRIDE]
    graph = helper.make_graph(
        [node for row in rows for node in _nodes(row)],
        "shapesnet",
        [helper.make_tensor_value_info(IMAGE, TensorProto.FLOAT, [1, 3, HEIGHT, WIDTH])],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, values, *places])
            for name, values in HEADS.items()
        ],
        initializers((row.module for row in rows), weights),
    )
    return model_of(graph, origin)


def _nodes(row: Conv) -> Iterator[onnx.NodeProto]:
    yield from _WRITER.conv(row)
    if row.module == "neck":
        yield _WRITER.node("DepthToSpace", UP, _tensor(row.last), blocksize=2, mode="CRD")


def _tensor(node: str) -> str:
    """The tensor that a node puts out: the last ones are the model's own."""
    outputs = {f"/{head}/1/Conv": head for head in HEADS}
    return outputs.get(node, node if node == IMAGE else f"{node}_output_0")


_WRITER = OnnxWriter(_tensor)
