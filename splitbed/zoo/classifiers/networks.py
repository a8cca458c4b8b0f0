"""The classifiers of clause 10.6.4 as rows of layers: VGG16, ResNet18 and MobileNetV2.

Names of modules are those of torchvision's state dicts, names of nodes those of its ONNX export,
batch norm folded; only VGG16's fully connected layers are numbered anew, since a checkpoint may
have any number of them.  ``width`` multiplies the channels of all but the last layer.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from splitbed.zoo.layers import Conv, Learnt, Linear, Weightless

IMAGE = "image"
FLAT = "/Flatten"
VGG_PLACES = 7 * 7
"""Of VGG16's last map of a picture of 224x224, each of which the classifier reads for itself."""
VGG_HIDDEN = 80
"""Features between the two layers of clause 10.6.4's classifier, of which it does not say how many.

Eight bits more a weight took 17.04 MB in Table 10.6.14, where ResNet18's 11.19 M weights took
11.36 MB: some 16.7 M weights, of which 14.7 M are the feature extractor's.
"""
VOC = 20
"""Classes of PASCAL VOC, which ResNet18 and MobileNetV2 tell apart."""
INVERTED = (
    (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2),
    (6, 320, 1, 1),
)  # fmt: skip
"""MobileNetV2's stages: expansion, channels, blocks, stride of the first (Table 2 of the paper)."""


Row = Conv | Linear | Weightless


def learnt(rows: Iterable[Row]) -> list[Learnt]:
    """Those of the rows that have weights."""
    return [row for row in rows if not isinstance(row, Weightless)]


def network(name: str, outputs: Sequence[int] = ()) -> Iterator[Row]:
    """The rows of a network; its fully connected layers have ``outputs``, or clause 10.6.4's."""
    if name == "vgg16":
        return vgg16(outputs or (VGG_HIDDEN, 2))
    return {"resnet18": resnet18, "mobilenet_v2": mobilenet_v2}[name](
        outputs[-1] if outputs else VOC
    )


def vgg16(classifier: Sequence[int] = (VGG_HIDDEN, 2)) -> Iterator[Row]:
    """13 convolutions in five layers, then fully connected ones of so many outputs each."""
    source, channels, place = IMAGE, 3, 0
    for width, convolutions in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(convolutions):
            name, relu = f"features.{place}", f"/features/features.{place + 1}/Relu"
            node = f"/features/{name}/Conv"
            yield Conv(name, node, source, channels, width, 3, 1, 1, relu=relu)
            source, channels, place = relu, width, place + 2
        pool = f"/features/features.{place}/MaxPool"
        yield Weightless("MaxPool", pool, source)
        source, place = pool, place + 1
    yield Weightless("Flatten", FLAT, source)
    source, channels = FLAT, channels * VGG_PLACES
    for place, width in enumerate(classifier):
        name, last = f"classifier.{place}", place == len(classifier) - 1
        root = f"/classifier/{name}"
        relu_of = None if last else f"{root}/Relu"
        yield Linear(name, f"{root}/Gemm", source, channels, width, relu_of)
        source, channels = f"{root}/Relu", width


def resnet18(classes: int, width: float = 1.0) -> Iterator[Row]:
    """A stem, four stages of two basic blocks, and one fully connected layer."""
    channels = round(64 * width)
    yield Conv("conv1", "/conv1/Conv", IMAGE, 3, channels, 7, 2, 3, "bn1", relu="/relu/Relu")
    source = "/maxpool/MaxPool"
    yield Weightless("MaxPool", source, "/relu/Relu")
    for stage in range(1, 5):
        outputs = round(64 * width) << (stage - 1)
        for block in range(2):
            rows = _basic_block(f"layer{stage}", block, source, channels, outputs)
            yield from rows
            source, channels = rows[-1].last, outputs
    pool = "/avgpool/GlobalAveragePool"
    yield from _pooled(source, pool, Linear("fc", "/fc/Gemm", FLAT, channels, classes))


def _basic_block(stage: str, block: int, source: str, inputs: int, outputs: int) -> list[Conv]:
    """Two convolutions and what goes around them, which is one where the map shrinks."""
    name = f"{stage}.{block}"
    node = f"/{stage}/{name}"
    middle, add, relu = f"{node}/relu/Relu", f"{node}/Add", f"{node}/relu_1/Relu"
    shrinks = inputs != outputs
    first = Conv(
        f"{name}.conv1", f"{node}/conv1/Conv", source, inputs, outputs, 3, 2 if shrinks else 1, 1,
        f"{name}.bn1", relu=middle,
    )  # fmt: skip
    last = f"{name}.conv2", f"{node}/conv2/Conv", middle, outputs, outputs, 3, 1, 1, f"{name}.bn2"
    if not shrinks:
        return [first, Conv(*last, adds=source, add=add, relu=relu)]
    second = Conv(*last)
    around = Conv(
        f"{name}.downsample.0", f"{node}/downsample/downsample.0/Conv", source, inputs, outputs,
        1, 2, 0, f"{name}.downsample.1", adds=second.node, add=add, relu=relu,
    )  # fmt: skip
    return [first, second, around]


def mobilenet_v2(classes: int, width: float = 1.0) -> Iterator[Row]:
    """17 inverted residuals between two convolutions, and one fully connected layer."""
    channels = _of_eight(32 * width)
    yield _relu6("features.0", "/features/features.0", IMAGE, 3, channels, 3, 2)
    source, place = "/features/features.0/features.0.2/Clip", 1
    for expansion, outputs, blocks, stride in INVERTED:
        wide = _of_eight(outputs * width)
        for block in range(blocks):
            rows = _inverted(place, source, channels, wide, expansion, 1 if block else stride)
            yield from rows
            source, channels, place = rows[-1].last, wide, place + 1
    features = _of_eight(1280 * max(1.0, width))
    last = _relu6(f"features.{place}", f"/features/features.{place}", source, channels, features)
    yield last
    linear = Linear("classifier.1", "/classifier/classifier.1/Gemm", FLAT, features, classes)
    yield from _pooled(last.last, "/GlobalAveragePool", linear)


def _inverted(
    place: int, source: str, inputs: int, outputs: int, expansion: int, stride: int
) -> list[Conv]:
    """Channels multiplied, each looked at by itself, and brought together without a ReLU."""
    name, root = f"features.{place}.conv", f"/features/features.{place}"
    node, wide, rows = f"{root}/conv", inputs * expansion, list[Conv]()
    if expansion > 1:
        rows.append(_relu6(f"{name}.0", f"{node}/conv.0", source, inputs, wide))
        source = rows[-1].last
    step = len(rows)
    alone = _relu6(f"{name}.{step}", f"{node}/conv.{step}", source, wide, wide, 3, stride)
    rows.append(replace(alone, groups=wide))
    last = Conv(
        f"{name}.{step + 1}", f"{node}/conv.{step + 1}/Conv", rows[-1].last, wide, outputs,
        norm=f"{name}.{step + 2}",
    )  # fmt: skip
    if stride == 1 and inputs == outputs:
        last = replace(last, adds=rows[0].source, add=f"{root}/Add")
    return [*rows, last]


def _relu6(
    name: str, node: str, source: str, inputs: int, outputs: int, kernel: int = 1, stride: int = 1
) -> Conv:
    """torchvision's ``Conv2dNormActivation``: a convolution, batch norm, and a capped ReLU."""
    last = node.rpartition("/")[2]
    return Conv(
        f"{name}.0", f"{node}/{last}.0/Conv", source, inputs, outputs, kernel, stride, kernel // 2,
        f"{name}.1", relu=f"{node}/{last}.2/Clip", capped=True,
    )  # fmt: skip


def _pooled(source: str, pool: str, linear: Linear) -> Iterator[Row]:
    yield Weightless("GlobalAveragePool", pool, source)
    yield Weightless("Flatten", FLAT, pool)
    yield linear


def _of_eight(channels: float) -> int:
    """The nearest multiple of eight, but never less than nine tenths (torchvision's rule)."""
    near = max(8, int(channels + 4) // 8 * 8)
    return near + 8 if near < 0.9 * channels else near
