"""The small model of the benchmarks: a chain like MobileNet's."""

from pathlib import Path

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

_SIDE = 224
_WIDTHS = (32, 64, 128, 128, 256, 256, 512, 512, 512, 512)
_STRIDED = (0, 1, 3, 5)


def mobile_chain(file: Path) -> Path:
    """Ten depthwise and ten pointwise convolutions on 3x224x224, a Relu after each; 41 layers."""
    rng = np.random.default_rng(0)
    nodes: list[NodeProto] = []
    weights = []
    data, channels = "image", 3

    def layer(name: str, width: int, side: int, group: int, stride: int) -> str:
        inputs = channels // group
        scale = np.sqrt(2 / (inputs * side * side))  # He: activations neither grow nor fade
        weight = (rng.standard_normal((width, inputs, side, side)) * scale).astype(np.float32)
        weights.append(numpy_helper.from_array(weight, f"{name}.weight"))
        fed, total, out = [data, f"{name}.weight"], f"{name}.sum", f"{name}.out"
        conv = helper.make_node(
            "Conv", fed, [total], name, group=group, pads=[side // 2] * 4, strides=[stride] * 2
        )
        nodes.extend([conv, helper.make_node("Relu", [total], [out], f"{name}.relu")])
        return out

    for block, width in enumerate(_WIDTHS):
        data = layer(f"deep{block}", channels, 3, channels, 2 if block in _STRIDED else 1)
        data = layer(f"point{block}", width, 1, 1, 1)
        channels = width
    nodes.append(helper.make_node("GlobalAveragePool", [data], ["scores"], "mean"))
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, _SIDE, _SIDE])
    scores = helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, channels, 1, 1])
    graph = helper.make_graph(nodes, "chain", [image], [scores], weights)
    opset = helper.make_opsetid("", 17)
    onnx.save(helper.make_model(graph, opset_imports=[opset], ir_version=8), file)
    return file
