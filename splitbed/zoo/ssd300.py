"""SSD300 with ResNet-50, the anchor model of clause 10.3, as an ONNX graph.

The network is NVIDIA's (DeepLearningExamples, PyTorch/Detection/SSD): ResNet-50 up to conv4_x,
whose first block has stride 1; five additional blocks; heads for 81 classes on 8732 default boxes.
Input ``image`` FP32 1x3x300x300, outputs ``locs`` FP32 1x4x8732 and ``confs`` FP32 1x81x8732.

Node names and their order are those of the PyTorch export, batch norm folded into the
convolutions, so that ``split_node_N`` of clause 10.3.9.2 is the node at topological index N.

The network has 22,894,902 parameters as PyTorch counts what is learnt: the convolutions' weights,
the heads' biases, and two numbers for each of the 17,984 channels of batch norm. Folding merges
one of the two into the weights, so the graph holds 22,876,918.
"""

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from splitbed.tasks.ssd import BOXES, CLASSES
from splitbed.zoo import checkpoints, seeded
from splitbed.zoo.layers import BLANK, Conv, Weights, blank
from splitbed.zoo.onnx_writer import OnnxWriter, initializers, model_of
from splitbed.zoo.resnet import bottleneck

IMAGE = "image"
POOL = "/feature_extractor/feature_extractor/feature_extractor.3/MaxPool"
MAPS = ((1024, 4), (512, 6), (512, 6), (256, 6), (256, 4), (256, 4))
"""Channels of each feature map and default boxes at each of its places."""


def build(seed: int | None = 0, weights: Path | None = None) -> onnx.ModelProto:
    """The whole model: seeded weights, zeros where ``seed`` is None, or the checkpoint ``weights``.

    ``metadata_props`` says which: ``weights`` is ``seeded (seed 0)`` or ``FILE sha256:…``.

    Raises:
        UsageError: the checkpoint cannot be read or does not fit; every misfit is named.
        MachineError: a ``.pt`` checkpoint, and torch is not installed.
    """
    layers = (*trunk(), *heads())
    if weights is not None:
        return to_onnx(layers, *checkpoints.load(weights, layers))
    if seed is None:
        return to_onnx(layers, blank((layer.module, layer.shape) for layer in layers), BLANK)
    return to_onnx(layers, seeded.weights(layers, POOL, CLASSES, seed), f"seeded (seed {seed})")


def trunk() -> Iterator[Conv]:
    """ResNet-50 up to conv4_x, then the additional blocks."""
    module, root = "feature_extractor.feature_extractor", "/feature_extractor/feature_extractor"
    root = f"{root}/feature_extractor"
    yield Conv(
        f"{module}.0", f"{root}.0/Conv", IMAGE, 3, 64, 7, 2, 3, f"{module}.1", relu=f"{root}.2/Relu"
    )
    source, channels = POOL, 64
    for stage, width, blocks, stride in ((4, 64, 3, 1), (5, 128, 4, 2), (6, 256, 6, 1)):
        for block in range(blocks):
            name = f"{stage}.{block}"
            rows = bottleneck(
                f"{module}.{name}",
                f"{root}.{stage}/feature_extractor.{name}",
                source,
                channels,
                width,
                stride if block == 0 else 1,
            )
            yield from rows
            source, channels = rows[-1].last, 4 * width
    yield from _additional_blocks(source)


def _additional_blocks(source: str) -> Iterator[Conv]:
    """Five blocks that shrink the map from 38x38 to 19, 10, 5, 3 and 1."""
    for index, width in enumerate((256, 256, 128, 128, 128)):
        module = f"additional_blocks.{index}"
        node = f"/{module}/{module}"
        inputs, outputs = MAPS[index][0], MAPS[index + 1][0]
        stride, pad = (2, 1) if index < 3 else (1, 0)
        yield Conv(
            f"{module}.0", f"{node}.0/Conv", source, inputs, width,
            norm=f"{module}.1", relu=f"{node}.2/Relu",
        )  # fmt: skip
        yield Conv(
            f"{module}.3", f"{node}.3/Conv", f"{node}.2/Relu", width, outputs,
            3, stride, pad, f"{module}.4", relu=f"{node}.5/Relu",
        )  # fmt: skip
        source = f"{node}.5/Relu"


def heads() -> Iterator[Conv]:
    """Offsets and class scores of every feature map."""
    last = "/feature_extractor/feature_extractor/feature_extractor.6/feature_extractor.6.5"
    sources = [f"{last}/relu_2/Relu"]
    sources += [f"/additional_blocks.{i}/additional_blocks.{i}.5/Relu" for i in range(5)]
    for index, (source, (channels, boxes)) in enumerate(zip(sources, MAPS, strict=True)):
        for name, values in (("loc", 4), ("conf", CLASSES)):
            module = f"{name}.{index}"
            yield Conv(module, f"/{module}/Conv", source, channels, values * boxes, 3, 1, 1)


def to_onnx(layers: tuple[Conv, ...], weights: Weights, origin: str) -> onnx.ModelProto:
    """The graph of ``layers`` with ``weights``; ``origin`` says where these come from."""
    nodes = [node for layer in layers for node in _nodes(layer)]
    held = initializers((layer.module for layer in layers), weights)
    for name, rows in (("locs", 4), ("confs", CLASSES)):
        held.append(numpy_helper.from_array(np.array([1, rows, -1]), f"{name}_shape"))
        nodes.append(_concat(name))
    graph = helper.make_graph(
        nodes,
        "ssd300",
        [helper.make_tensor_value_info(IMAGE, TensorProto.FLOAT, [1, 3, 300, 300])],
        [
            helper.make_tensor_value_info("locs", TensorProto.FLOAT, [1, 4, BOXES]),
            helper.make_tensor_value_info("confs", TensorProto.FLOAT, [1, CLASSES, BOXES]),
        ],
        held,
    )
    return model_of(graph, origin)


def parameters(layers: tuple[Conv, ...]) -> int:
    """How many numbers training learns, batch norm not folded."""
    return sum(
        math.prod(layer.shape) + layer.outputs * (2 if layer.norm else 1) for layer in layers
    )


def _tensor(node: str) -> str:
    return node if node == IMAGE else f"{node}_output_0"


def _nodes(layer: Conv) -> Iterator[onnx.NodeProto]:
    yield from _WRITER.conv(layer)
    if layer.source == IMAGE:
        window = {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}
        yield _WRITER.node("MaxPool", POOL, _tensor(layer.last), **window)
    kind, _, index = layer.module.partition(".")
    if kind in ("loc", "conf"):
        # The exporter numbers the reshapes as they run: loc.0, conf.0, loc.1, …
        yield _WRITER.node(
            "Reshape", _reshape(kind, int(index)), _tensor(layer.node), f"{kind}s_shape"
        )


def _reshape(kind: str, index: int) -> str:
    number = 2 * index + (kind == "conf")
    return f"/Reshape_{number}" if number else "/Reshape"


def _concat(output: str) -> onnx.NodeProto:
    kind = output.removesuffix("s")
    parts = [_tensor(_reshape(kind, index)) for index in range(len(MAPS))]
    name = "/Concat" if kind == "loc" else "/Concat_1"
    return helper.make_node("Concat", parts, [output], name=name, axis=2)


_WRITER = OnnxWriter(_tensor)
