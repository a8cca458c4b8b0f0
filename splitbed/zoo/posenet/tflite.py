"""PoseNet as a TFLite file: NHWC, one operator per layer with its ReLU6 fused."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from splitbed.graphs.tflite import file as tflite_file
from splitbed.zoo.layers import Floats, Weights
from splitbed.zoo.posenet.layers import HEADS, IMAGE, SIDE, PoseLayer

VERSIONS = {
    schema.BuiltinOperator.CONV_2D: 1,
    schema.BuiltinOperator.DEPTHWISE_CONV_2D: 2,  # the first that dilates
}


def to_tflite(layers: Sequence[PoseLayer], weights: Weights, origin: str) -> bytes:
    """The file of ``layers`` with ``weights``; its description says where these come from."""
    graph = schema.SubGraphT(tensors=[], operators=[], name="posenet")
    buffers = [schema.BufferT()]  # the first is the empty one, of tensors without a value
    places = {IMAGE: _add(graph, IMAGE, (1, SIDE, SIDE, 3))}
    for layer in layers:
        read = [places[layer.source]]
        for name, values in zip(("weights", "biases"), weights[layer.name], strict=True):
            held = _to_ohwi(values, layer) if name == "weights" else values
            read.append(_add(graph, f"{layer.name}/{name}", held.shape, len(buffers)))
            buffers.append(schema.BufferT(np.frombuffer(held.tobytes(), np.uint8)))
        shape = (1, layer.side, layer.side, layer.outputs)
        places[layer.output] = _add(graph, layer.output, shape)
        graph.operators.append(_operator(layer, read, places[layer.output]))
    graph.inputs, graph.outputs = [places[IMAGE]], [places[name] for name in HEADS]
    model = schema.ModelT(
        version=3,
        operatorCodes=[_operator_code(code) for code in VERSIONS],
        subgraphs=[graph],
        description=f"PoseNet, MobileNetV1, output stride 16; weights: {origin}",
        buffers=buffers,
    )
    return bytes(tflite_file.serialised(model))


def _to_ohwi(weight: Floats, layer: PoseLayer) -> Floats:
    """TFLite's order of a weight's axes; depthwise: 1HWC."""
    return weight.transpose((1, 2, 3, 0) if layer.depthwise else (0, 2, 3, 1))


def _add(graph: Any, name: str, shape: tuple[int, ...], buffer: int = 0) -> int:
    graph.tensors.append(
        schema.TensorT(
            shape=list(shape), type=schema.TensorType.FLOAT32, buffer=buffer, name=name,
            hasRank=True,
        )
    )  # fmt: skip
    return len(graph.tensors) - 1


def _operator_code(code: int) -> Any:
    return schema.OperatorCodeT(
        deprecatedBuiltinCode=code, builtinCode=code, version=VERSIONS[code]
    )


def _operator(layer: PoseLayer, read: list[int], written: int) -> Any:
    if layer.depthwise:
        code, kind = schema.BuiltinOperator.DEPTHWISE_CONV_2D, "DepthwiseConv2DOptions"
        options = schema.DepthwiseConv2DOptionsT(depthMultiplier=1)
    else:
        code, kind = schema.BuiltinOperator.CONV_2D, "Conv2DOptions"
        options = schema.Conv2DOptionsT()
    options.padding = schema.Padding.SAME
    options.strideH = options.strideW = layer.stride
    options.dilationHFactor = options.dilationWFactor = layer.dilation
    activations = schema.ActivationFunctionType
    options.fusedActivationFunction = activations.RELU6 if layer.relu6 else activations.NONE
    return schema.OperatorT(
        opcodeIndex=list(VERSIONS).index(code),
        inputs=read,
        outputs=[written],
        builtinOptionsType=getattr(schema.BuiltinOptions, kind),
        builtinOptions=options,
    )
