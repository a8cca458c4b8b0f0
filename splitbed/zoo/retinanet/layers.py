"""The layers of RetinaNet in topological order: backbone, pyramid, heads.

Names of modules are those of torchvision's state dict, names of nodes those of its ONNX export.
The heads are shared: each of their modules makes a row for every level of the pyramid.
"""

from collections.abc import Iterator

from splitbed.zoo.layers import Conv, Weightless
from splitbed.zoo.resnet import bottleneck

IMAGE = "images"
POOL = "/backbone/body/maxpool/MaxPool"
CHANNELS = 256  # of every map of the pyramid
CLASSES = 91
ANCHORS = 9  # at each place of a map
LEVELS = (3, 4, 5, 6, 7)
"""Of the pyramid; a place of level ``n`` stands for 2^n x 2^n pixels, more or less."""

BODY, FPN, HEAD = "/backbone/body", "/backbone/fpn", "/head"
P6, P7 = f"{FPN}/extra_blocks/p6/Conv", f"{FPN}/extra_blocks/p7/Conv"


Row = Conv | Weightless


def rows() -> tuple[Row, ...]:
    """Every layer up to the heads' maps."""
    body = tuple(_body())
    return (*body, *_pyramid(), *_heads())


def convolutions() -> tuple[Conv, ...]:
    """Those of :func:`rows` that have weights."""
    return tuple(row for row in rows() if isinstance(row, Conv))


def head_maps(name: str) -> list[str]:
    """Nodes of the maps that the head called ``name`` makes of each level."""
    return [f"{HEAD}/{name}{_turn(turn)}/Conv" for turn in range(len(LEVELS))]


def _body() -> Iterator[Row]:
    """ResNet-50 without its classifier."""
    stem = f"{BODY}/relu/Relu"
    yield Conv(
        "backbone.body.conv1", f"{BODY}/conv1/Conv", IMAGE, 3, 64, 7, 2, 3,
        "backbone.body.bn1", relu=stem,
    )  # fmt: skip
    yield Weightless("MaxPool", POOL, stem)
    source, channels = POOL, 64
    for stage, (width, blocks) in enumerate(((64, 3), (128, 4), (256, 6), (512, 3)), start=1):
        for block in range(blocks):
            name = f"layer{stage}.{block}"
            stride = 2 if block == 0 and stage > 1 else 1
            yield from bottleneck(
                f"backbone.body.{name}", f"{BODY}/layer{stage}/{name}", source, channels, width,
                stride,
            )  # fmt: skip
            source, channels = f"{BODY}/layer{stage}/{name}/relu_2/Relu", 4 * width


def stage_end(stage: int) -> str:
    """The last node of a stage of the body, 1 to 4."""
    return f"{BODY}/layer{stage}/layer{stage}.{(2, 3, 5, 2)[stage - 1]}/relu_2/Relu"


def _pyramid() -> Iterator[Row]:
    """Levels 5, 4 and 3 from the top down, then 6 from 5, then 7 from 6.

    Level 6 is made before anything reads it, so that one cut crosses the four maps of clause
    10.3.9.1 and nothing else.
    """
    merged = ""
    for turn, (block, channels) in enumerate(((2, 2048), (1, 1024), (0, 512))):
        inner = f"{FPN}/inner_blocks.{block}/inner_blocks.{block}.0/Conv"
        module, source = f"backbone.fpn.inner_blocks.{block}.0", stage_end(block + 2)
        if merged:
            resize, add = (f"{FPN}/{op}{_turn(turn - 1)}" for op in ("Resize", "Add"))
            yield Weightless("Resize", resize, merged)
            yield Conv(module, inner, source, channels, CHANNELS, adds=resize, add=add)
            merged = add
        else:
            yield Conv(module, inner, source, channels, CHANNELS)
            merged = inner
        yield Conv(
            f"backbone.fpn.layer_blocks.{block}.0", level_node(block + 3), merged,
            CHANNELS, CHANNELS, 3, 1, 1,
        )  # fmt: skip
    extra, relu = "backbone.fpn.extra_blocks", f"{FPN}/extra_blocks/Relu"
    yield Conv(f"{extra}.p6", P6, level_node(5), CHANNELS, CHANNELS, 3, 2, 1)
    yield Weightless("Relu", relu, P6)
    yield Conv(f"{extra}.p7", P7, relu, CHANNELS, CHANNELS, 3, 2, 1)


def level_node(level: int) -> str:
    """The node whose output is a level of the pyramid."""
    block = level - 3
    return {6: P6, 7: P7}.get(level, f"{FPN}/layer_blocks.{block}/layer_blocks.{block}.0/Conv")


def _heads() -> Iterator[Conv]:
    """Class scores and box offsets: four convolutions and a last one, on every level."""
    for head, last, outputs in (
        ("classification_head", "cls_logits", CLASSES * ANCHORS),
        ("regression_head", "bbox_reg", 4 * ANCHORS),
    ):
        for turn, level in enumerate(LEVELS):
            source = level_node(level)
            for index in range(4):
                place = f"{HEAD}/{head}/conv/conv.{index}/conv.{index}"
                relu = f"{place}.1{_turn(turn)}/Relu"
                yield Conv(
                    f"head.{head}.conv.{index}.0", f"{place}.0{_turn(turn)}/Conv", source,
                    CHANNELS, CHANNELS, 3, 1, 1, relu=relu,
                )  # fmt: skip
                source = relu
            node = f"{HEAD}/{head}/{last}{_turn(turn)}/Conv"
            yield Conv(f"head.{head}.{last}", node, source, CHANNELS, outputs, 3, 1, 1)


def _turn(turn: int) -> str:
    """What the exporter adds to a name that it has used before."""
    return f"_{turn}" if turn else ""
