"""PoseNet as an ONNX file: NCHW, a Conv for each layer, and a Clip for its ReLU6."""

from collections.abc import Iterator, Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from splitbed.zoo.layers import Weights
from splitbed.zoo.onnx_writer import model_of
from splitbed.zoo.posenet.layers import HEADS, IMAGE, SIDE, PoseLayer

IR_VERSION = 10  # the first whose nodes bear metadata
LIMITS = {"zero": 0.0, "six": 6.0}


def to_onnx(layers: Sequence[PoseLayer], weights: Weights, origin: str) -> bytes:
    """The file of ``layers`` with ``weights``; its metadata says where these come from."""
    initializers = [
        numpy_helper.from_array(np.array(limit, np.float32), name) for name, limit in LIMITS.items()
    ]
    initializers += [
        numpy_helper.from_array(values, f"{layer.name}/{name}")
        for layer in layers
        for name, values in zip(("weights", "biases"), weights[layer.name], strict=True)
    ]
    graph = helper.make_graph(
        [node for layer in layers for node in _nodes(layer)],
        "posenet",
        [helper.make_tensor_value_info(IMAGE, TensorProto.FLOAT, [1, 3, SIDE, SIDE])],
        [
            helper.make_tensor_value_info(
                layer.output, TensorProto.FLOAT, [1, layer.outputs, layer.side, layer.side]
            )
            for layer in layers
            if layer.output in HEADS
        ],
        initializers,
    )
    return bytes(model_of(graph, origin, IR_VERSION).SerializeToString())


def _nodes(layer: PoseLayer) -> Iterator[onnx.NodeProto]:
    """Both say which layer they are, so that a cut takes them as one, as TFLite fuses them."""
    conv = helper.make_node(
        "Conv",
        [layer.source, f"{layer.name}/weights", f"{layer.name}/biases"],
        [f"{layer.output}_pre" if layer.relu6 else layer.output],
        name=layer.name,
        kernel_shape=[layer.kernel] * 2,
        strides=[layer.stride] * 2,
        dilations=[layer.dilation] * 2,
        group=layer.inputs if layer.depthwise else 1,
        pads=[layer.pad] * 4,
    )
    nodes = [conv]
    if layer.relu6:
        read = [conv.output[0], *LIMITS]
        nodes.append(helper.make_node("Clip", read, [layer.output], name=f"{layer.name}/Relu6"))
    for node in nodes:
        node.metadata_props.add(key="layer", value=layer.name)
        yield node
