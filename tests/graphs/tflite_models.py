"""Small TFLite models built in code, through the schema."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema

from splitbed.graphs.graph import Graph
from splitbed.graphs.parts import StoredModel, store
from splitbed.graphs.tflite.parts import load_graph
from splitbed.runtime.tflite import interpreter_class
from splitbed.tensors import Tensors
from tests.graphs.models import whole

Array = npt.NDArray[Any]

TYPES: dict[np.dtype[Any], int] = {
    np.dtype(dtype): getattr(schema.TensorType, name)
    for name, dtype in {
        "FLOAT32": np.float32, "FLOAT16": np.float16, "INT32": np.int32, "INT64": np.int64,
        "UINT8": np.uint8, "INT8": np.int8, "BOOL": np.bool_,
    }.items()
}  # fmt: skip


def tensor(
    shape: Sequence[int],
    dtype: npt.DTypeLike = np.float32,
    scale: float | Sequence[float] | None = None,
    zero: int = 0,
    signature: Sequence[int] | None = None,
) -> Any:
    """A tensor that the model computes or is fed; several scales are those of the last axis."""
    made = schema.TensorT(shape=list(shape), type=TYPES[np.dtype(dtype)])
    made.shapeSignature = None if signature is None else list(signature)
    made.quantization = _quantisation(scale, zero, len(shape) - 1)
    return made


def constant(values: Array, scale: float | Sequence[float] | None = None, zero: int = 0) -> Any:
    """A tensor and its values; several scales are those of the first axis."""
    made = tensor(values.shape, values.dtype)
    made.quantization = _quantisation(scale, zero, 0)
    made.values = values
    return made


def _quantisation(scale: float | Sequence[float] | None, zero: int, axis: int) -> Any:
    if scale is None:
        return None
    scales = np.atleast_1d(np.array(scale, np.float32))
    zeros = np.full(scales.shape, zero, np.int64)
    several = len(scales) > 1
    return schema.QuantizationParametersT(
        scale=scales, zeroPoint=zeros, quantizedDimension=axis if several else 0
    )


def op(name: str, inputs: str, outputs: str, options: Any = None, custom: bytes = b"") -> Any:
    """An operator; names of tensors are separated by spaces, and ``-`` is none."""
    made = schema.OperatorT(inputs=inputs.split(), outputs=outputs.split())
    made.name = name
    if options is not None:
        made.builtinOptions = options
        made.builtinOptionsType = getattr(schema.BuiltinOptions, type(options).__name__[:-1])
    if custom:
        made.customOptions = np.frombuffer(custom, np.uint8)
    return made


def conv(inputs: str, output: str, stride: int = 1) -> Any:
    return op("CONV_2D", inputs, output, schema.Conv2DOptionsT(strideH=stride, strideW=stride))


def depthwise(inputs: str, output: str) -> Any:
    options = schema.DepthwiseConv2DOptionsT(strideH=1, strideW=1, depthMultiplier=1)
    return op("DEPTHWISE_CONV_2D", inputs, output, options)


def model(tensors: Mapping[str, Any], operators: Sequence[Any], inputs: str, outputs: str) -> Any:
    """A model; constants of ``tensors`` get a buffer each."""
    places = {name: place for place, name in enumerate(tensors)} | {"-": -1}
    buffers = [schema.BufferT()]
    for name, made in tensors.items():
        made.name = name.encode()
        if hasattr(made, "values"):
            made.buffer = len(buffers)
            buffers.append(schema.BufferT(data=np.frombuffer(made.values.tobytes(), np.uint8)))
    codes = list(dict.fromkeys(operator.name for operator in operators))
    for operator in operators:
        operator.opcodeIndex = codes.index(operator.name)
        operator.inputs = [places[name] for name in operator.inputs]
        operator.outputs = [places[name] for name in operator.outputs]
    graph = schema.SubGraphT(
        tensors=list(tensors.values()),
        operators=list(operators),
        inputs=[places[name] for name in inputs.split()],
        outputs=[places[name] for name in outputs.split()],
    )
    return schema.ModelT(
        version=3, operatorCodes=[_code(c) for c in codes], subgraphs=[graph], buffers=buffers
    )


def _code(name: str) -> Any:
    number = getattr(schema.BuiltinOperator, name, None)
    if number is None:
        custom = schema.BuiltinOperator.CUSTOM
        return schema.OperatorCodeT(
            deprecatedBuiltinCode=custom, builtinCode=custom, customCode=name.encode()
        )
    return schema.OperatorCodeT(
        deprecatedBuiltinCode=min(number, 127), builtinCode=number, version=_VERSIONS.get(name, 1)
    )


_VERSIONS = {"DEQUANTIZE": 3}  # which knows float16


def chain() -> Any:
    return model(
        {
            "x": tensor([1, 8, 8, 3]),
            "Conv2d_0/weights": constant(whole(1, 8, 3, 3, 3)),
            "Conv2d_0/biases": constant(whole(2, 8)),
            "a": tensor([1, 8, 8, 8]),
            "Conv2d_1/depthwise_weights": constant(whole(3, 1, 3, 3, 8)),
            "Conv2d_1/biases": constant(whole(6, 8)),
            "b": tensor([1, 8, 8, 8]),
            "c": tensor([1, 8, 8, 8]),
            "w": constant(whole(4, 5, 1, 1, 8)),
            "bias": constant(whole(5, 5)),
            "y": tensor([1, 4, 4, 5]),
        },
        [
            conv("x Conv2d_0/weights Conv2d_0/biases", "a"),
            depthwise("a Conv2d_1/depthwise_weights Conv2d_1/biases", "b"),
            op("RELU6", "b", "c"),
            conv("c w bias", "y", stride=2),
        ],
        "x",
        "y",
    )


def residual() -> Any:
    """The input of a convolution is added to its output, and an unread operator looks on."""
    return model(
        {
            "x": tensor([1, 8, 8, 3]),
            "w1": constant(whole(1, 8, 3, 3, 3)),
            "a": tensor([1, 8, 8, 8]),
            "w2": constant(whole(2, 8, 3, 3, 8)),
            "unread": tensor([1, 8, 8, 8]),
            "b": tensor([1, 8, 8, 8]),
            "y": tensor([1, 8, 8, 8]),
            "bias": constant(whole(3, 8)),
        },
        [
            conv("x w1 bias", "a"),
            op("RELU", "a", "unread"),
            conv("a w2 bias", "b"),
            op("ADD", "b a", "y", schema.AddOptionsT()),
        ],
        "x",
        "y",
    )


def several() -> Any:
    """Two inputs, one read late; three outputs: an early one, an input, and a constant."""
    return model(
        {
            "x": tensor([1, 8, 8, 3]),
            "late": tensor([1, 8, 8, 8]),
            "w": constant(whole(1, 8, 3, 3, 3)),
            "bias": constant(whole(3, 8)),
            "early": tensor([1, 8, 8, 8]),
            "b": tensor([1, 8, 8, 8]),
            "y": tensor([1, 8, 8, 8]),
            "prior": constant(whole(2, 7, 4)),
        },
        [
            conv("x w bias", "early"),
            op("RELU", "early", "b"),
            op("MUL", "b late", "y", schema.MulOptionsT()),
        ],
        "x late",
        "early late y prior",
    )


def _integers(seed: int, dtype: npt.DTypeLike, *shape: int) -> Array:
    span = np.iinfo(np.dtype(dtype))
    values = np.random.default_rng(seed).integers(span.min + 1, span.max + 1, shape)
    return values.astype(dtype)


def int8() -> Any:
    """Convolutions with a scale per channel, and floats before and after."""
    scales = np.linspace(0.001, 0.004, 8).tolist()
    bias = np.arange(-400, 400, 100, dtype=np.int32)
    return model(
        {
            "x": tensor([1, 8, 8, 3]),
            "q": tensor([1, 8, 8, 3], np.int8, 0.03, -5),
            "w1": constant(_integers(1, np.int8, 8, 3, 3, 3), scales),
            "b1": constant(bias, [0.03 * scale for scale in scales]),
            "a": tensor([1, 8, 8, 8], np.int8, 0.02, 3),
            "w2": constant(_integers(2, np.int8, 8, 1, 1, 8), scales),
            "b2": constant(bias, [0.02 * scale for scale in scales]),
            "b": tensor([1, 8, 8, 8], np.int8, 0.02, 3),
            "c": tensor([1, 8, 8, 8], np.int8, 0.04, -7),
            "y": tensor([1, 8, 8, 8]),
        },
        [
            op("QUANTIZE", "x", "q", schema.QuantizeOptionsT()),
            conv("q w1 b1", "a"),
            conv("a w2 b2", "b"),
            op("ADD", "a b", "c", schema.AddOptionsT()),
            op("DEQUANTIZE", "c", "y", schema.DequantizeOptionsT()),
        ],
        "x",
        "y",
    )


def uint8() -> Any:
    """A scale per tensor, as the older converter wrote."""
    return model(
        {
            "x": tensor([1, 8, 8, 3], np.uint8, 1 / 128, 128),
            "w1": constant(_integers(1, np.uint8, 8, 3, 3, 3), 0.003, 120),
            "b1": constant(np.arange(-400, 400, 100, dtype=np.int32), 0.003 / 128),
            "a": tensor([1, 8, 8, 8], np.uint8, 0.02, 110),
            "w2": constant(_integers(2, np.uint8, 6, 512), 0.003, 120),
            "b2": constant(np.arange(6, dtype=np.int32), 0.02 * 0.003),
            "b": tensor([1, 6], np.uint8, 0.05, 128),
            "y": tensor([1, 6], np.uint8, 1 / 256),
        },
        [
            conv("x w1 b1", "a"),
            op("FULLY_CONNECTED", "a w2 b2", "b", schema.FullyConnectedOptionsT()),
            op("SOFTMAX", "b", "y", schema.SoftmaxOptionsT(beta=1.0)),
        ],
        "x",
        "y",
    )


def float16() -> Any:
    """Weights in half precision, made floats by operators; both convolutions share the kernel."""
    return model(
        {
            "x": tensor([1, 8, 8, 8]),
            "w16": constant(whole(1, 8, 3, 3, 8).astype(np.float16)),
            "w": tensor([8, 3, 3, 8]),
            "b16": constant(whole(2, 8).astype(np.float16)),
            "b": tensor([8]),
            "a": tensor([1, 8, 8, 8]),
            "c": tensor([1, 8, 8, 8]),
            "y": tensor([1, 8, 8, 8]),
        },
        [
            op("DEQUANTIZE", "w16", "w", schema.DequantizeOptionsT()),
            op("DEQUANTIZE", "b16", "b", schema.DequantizeOptionsT()),
            conv("x w b", "a"),
            op("RELU", "a", "c"),
            conv("c w b", "y"),
        ],
        "x",
        "y",
    )


DETECTION_OPTIONS = {
    "max_detections": 3,
    "max_classes_per_detection": 1,
    "num_classes": 2,
    "nms_score_threshold": 0.1,
    "nms_iou_threshold": 0.5,
    "y_scale": 10.0,
    "x_scale": 10.0,
    "h_scale": 5.0,
    "w_scale": 5.0,
}


def detection() -> Any:
    """Boxes and scores into the custom operator that chooses; it has no shapes in the file."""
    from flatbuffers import flexbuffers

    boxes = np.linspace(0.1, 0.9, 6, dtype=np.float32)
    anchors = np.stack([boxes, boxes, np.full(6, 0.2), np.full(6, 0.2)], 1).astype(np.float32)
    names = "boxes classes scores count"
    return model(
        {
            "x": tensor([1, 6, 4]),
            "half": constant(np.array(0.5, np.float32)),
            "encodings": tensor([1, 6, 4]),
            "w": constant(whole(1, 3, 4)),
            "logits": tensor([1, 6, 3]),
            "probabilities": tensor([1, 6, 3]),
            "anchors": constant(anchors),
        }
        | {name: tensor([]) for name in names.split()},
        [
            op("MUL", "x half", "encodings", schema.MulOptionsT()),
            op(
                "FULLY_CONNECTED",
                "x w -",
                "logits",
                schema.FullyConnectedOptionsT(keepNumDims=True),
            ),
            op("LOGISTIC", "logits", "probabilities"),
            op(
                "TFLite_Detection_PostProcess",
                "encodings probabilities anchors",
                names,
                custom=flexbuffers.Dumps(DETECTION_OPTIONS),
            ),
        ],
        "x",
        names,
    )


def transposed() -> Any:
    """A transposed convolution, and a product of matrices that the model computes."""
    return model(
        {
            "x": tensor([1, 4, 4, 3]),
            "size": constant(np.array([1, 8, 8, 5], np.int32)),
            "w": constant(whole(1, 5, 2, 2, 3)),
            "a": tensor([1, 8, 8, 5]),
            "shape": constant(np.array([1, 64, 5], np.int32)),
            "b": tensor([1, 64, 5]),
            "y": tensor([1, 5, 5]),
        },
        [
            op(
                "TRANSPOSE_CONV",
                "size w x",
                "a",
                schema.TransposeConvOptionsT(strideH=2, strideW=2),
            ),
            op("RESHAPE", "a shape", "b", schema.ReshapeOptionsT()),
            op("BATCH_MATMUL", "b b", "y", schema.BatchMatMulOptionsT(adjX=True)),
        ],
        "x",
        "y",
    )


def duplicate_names() -> Any:
    """Four tensors are called x, two have no name."""
    proto = residual()
    for place, name in enumerate((b"x", b"x", b"", b"x", None, b"x", b"y")):
        proto.subgraphs[0].tensors[place].name = name
    return proto


MODELS = {
    "chain": chain,
    "residual": residual,
    "several inputs and outputs": several,
    "int8 with a scale per channel": int8,
    "uint8": uint8,
    "float16 weights": float16,
    "detection": detection,
    "transposed": transposed,
    "duplicate names": duplicate_names,
}


def data_dependent() -> Any:
    """Between WHERE and SUM sizes depend on the data."""
    return model(
        {
            "x": tensor([4, 5]),
            "zero": constant(np.zeros((), np.float32)),
            "positive": tensor([4, 5], np.bool_),
            "places": tensor([0, 2], np.int64),
            "b": tensor([0, 2]),
            "axes": constant(np.array([0, 1], np.int32)),
            "y": tensor([]),
        },
        [
            op("GREATER", "x zero", "positive", schema.GreaterOptionsT()),
            op("WHERE", "positive", "places", schema.WhereOptionsT()),
            op("CAST", "places", "b", schema.CastOptionsT(inDataType=4, outDataType=0)),
            op("SUM", "b axes", "y", schema.ReducerOptionsT()),
        ],
        "x",
        "y",
    )


def computed_shape() -> Any:
    """A RESHAPE to sizes that the model computes of its input's, which is open."""
    return model(
        {
            "x": tensor([1, 1, 1, 3], signature=[-1, -1, -1, 3]),
            "shape": tensor([4], np.int32),
            "zeros": constant(np.zeros(1, np.int32)),
            "ones": constant(np.ones(1, np.int32)),
            "batch": tensor([1], np.int32),
            "rest": constant(np.array([-1], np.int32)),
            "target": tensor([2], np.int32),
            "y": tensor([1, 3], signature=[-1, -1]),
        },
        [
            op("SHAPE", "x", "shape", schema.ShapeOptionsT(outType=2)),
            op("STRIDED_SLICE", "shape zeros ones ones", "batch", schema.StridedSliceOptionsT()),
            op("CONCATENATION", "batch rest", "target", schema.ConcatenationOptionsT()),
            op("RESHAPE", "x target", "y", schema.ReshapeOptionsT()),
        ],
        "x",
        "y",
    )


def filled(size: int) -> Any:
    """Its input and as many ones."""
    return model(
        {
            "x": tensor([4]),
            "dims": constant(np.array([size], np.int32)),
            "one": constant(np.ones((), np.float32)),
            "ones": tensor([size]),
            "y": tensor([size + 4]),
        },
        [
            op("FILL", "dims one", "ones", schema.FillOptionsT()),
            op("CONCATENATION", "x ones", "y", schema.ConcatenationOptionsT()),
        ],
        "x",
        "y",
    )


def padded() -> Any:
    """Its input with a margin, the width of which is quantised as weights are."""
    margin = np.array([[0, 0], [1, 1], [1, 1], [0, 0]], np.int8)
    return model(
        {
            "x": tensor([1, 4, 4, 1]),
            "margin": constant(margin, scale=1.0),
            "y": tensor([1, 6, 6, 1]),
        },
        [op("PAD", "x margin", "y", schema.PadOptionsT())],
        "x",
        "y",
    )


def counted() -> Any:
    """As many classes as a float has for its bits: the kernel does not look at the type."""
    return model(
        {
            "x": tensor([1], np.int32),
            "depth": constant(np.array([7], np.int32).view(np.float32)),
            "on": constant(np.ones((), np.float32)),
            "off": constant(np.zeros((), np.float32)),
            "y": tensor([1, 7]),
        },
        [op("ONE_HOT", "x depth on off", "y", schema.OneHotOptionsT(axis=-1))],
        "x",
        "y",
    )


def save(proto: Any, path: Path) -> Path:
    builder = flatbuffers.Builder(1 << 16)
    builder.Finish(proto.Pack(builder), b"TFL3")
    path.write_bytes(builder.Output())
    return path


def saved_graph(proto: Any, folder: Path) -> Graph:
    return load_graph(save(proto, folder / "model.tflite"))


def stored_model(proto: Any, folder: Path) -> StoredModel:
    return store(saved_graph(proto, folder), folder / "stored")


def run_file(path: Path, graph: Graph, tensors: Tensors) -> Tensors:
    """What the interpreter makes of the file ``path`` itself; its tensors go by their order."""
    interpreter = interpreter_class()(model_path=str(path), num_threads=1)
    for detail, info in zip(interpreter.get_input_details(), graph.inputs, strict=True):
        interpreter.resize_tensor_input(detail["index"], info.shape)
    interpreter.allocate_tensors()
    for detail, info in zip(interpreter.get_input_details(), graph.inputs, strict=True):
        interpreter.set_tensor(detail["index"], tensors[info.name])
    interpreter.invoke()
    details = interpreter.get_output_details()
    return {
        info.name: interpreter.get_tensor(detail["index"])
        for detail, info in zip(details, graph.outputs, strict=True)
    }
