"""What the tensors of an ONNX graph are, once shapes are known, or why the wire has no such."""

import onnx

from splitbed.errors import UsageError
from splitbed.graphs.graph import Described
from splitbed.tensors import DATATYPES, TensorInfo

Shape = tuple[int, ...]
"""Dimensions; -1 is one that depends on the data."""


def describe(graph: onnx.GraphProto) -> dict[str, Described]:
    """Every tensor of ``graph`` that is no weight, or why it cannot cross a cut."""
    infos = {info.name: info for info in [*graph.value_info, *graph.output, *graph.input]}
    names = [name for node in graph.node for name in node.output if name]
    return {name: _describe(name, infos.get(name)) for name in [*infos, *names]}


def describe_inputs(graph: onnx.GraphProto) -> tuple[TensorInfo, ...]:
    """The inputs of ``graph``.  Raises UsageError where one is not static."""
    described = []
    for info in graph.input:
        tensor = _describe(info.name, info)
        if isinstance(tensor, str):
            raise UsageError(f"input {info.name!r} cannot be fed: {tensor}")
        described.append(tensor)
    return tuple(described)


def describe_outputs(graph: onnx.GraphProto) -> tuple[TensorInfo, ...]:
    """The outputs of ``graph``, with -1 for dimensions that depend on the data."""
    described = []
    for info in graph.output:
        if fault := kind_fault(info):
            raise UsageError(f"output {info.name!r} is {fault}: {_ending(graph, info.name)}")
        shape = shape_of(info)
        if shape is None:
            raise UsageError(
                f"output {info.name!r} is not of a known rank, and ONNX Runtime could not be run "
                "on made-up inputs to learn it: end the model before it"
            )
        described.append(TensorInfo(info.name, _datatype(info), shape))
    return tuple(described)


def _ending(graph: onnx.GraphProto, output: str) -> str:
    """How to end the model before ``output``, which cannot be had."""
    made = next((node for node in graph.node if output in node.output), None)
    if made is None:
        return "end the model before it"
    zipped = ", as skl2onnx does with options={'zipmap': False}" if made.op_type == "ZipMap" else ""
    return (
        f"node {made.name!r} ({made.op_type}) makes it; end the model before that node, at "
        f"{', '.join(map(repr, made.input))}{zipped}"
    )


def _describe(name: str, info: onnx.ValueInfoProto | None) -> Described:
    if info is None:
        return f"the shape of {name!r} could not be inferred"
    if fault := kind_fault(info):
        return f"{name!r} is {fault}"
    shape = shape_of(info)
    if shape is None:
        return f"the shape of {name!r} could not be inferred"
    if -1 in shape:
        return f"the shape of {name!r} depends on the data ({text_of(info)})"
    return TensorInfo(name, _datatype(info), shape)


def kind_fault(info: onnx.ValueInfoProto) -> str:
    """What the type of ``info`` is, where the wire has no such tensor; empty where it has."""
    kind = info.type.WhichOneof("value")
    if kind != "tensor_type":
        return {
            "sequence_type": "a sequence, and only tensors cross",
            "map_type": "a map, and only tensors cross",
            "optional_type": "an optional value, and only tensors cross",
            "sparse_tensor_type": "a sparse tensor, and only dense ones cross",
        }.get(kind or "", "of no known type")
    elem_type = info.type.tensor_type.elem_type
    if elem_type == onnx.TensorProto.STRING:
        return "a tensor of strings, and only numbers cross"
    if (
        elem_type == onnx.TensorProto.UNDEFINED
        or elem_type not in onnx.TensorProto.DataType.values()
    ):
        return "of no known type"
    if DATATYPES.get(onnx.helper.tensor_dtype_to_np_dtype(elem_type)) is None:
        name = onnx.TensorProto.DataType.Name(elem_type)
        return f"a tensor of {name}, which the wire does not know: cast it to FLOAT in the model"
    return ""


def shape_of(info: onnx.ValueInfoProto) -> Shape | None:
    """The shape of ``info``, -1 for what is open; None for a tensor of no known rank."""
    if not info.type.tensor_type.HasField("shape"):
        return None
    dims = info.type.tensor_type.shape.dim
    return tuple(d.dim_value if d.HasField("dim_value") and d.dim_value >= 0 else -1 for d in dims)


def _datatype(info: onnx.ValueInfoProto) -> str:
    return DATATYPES[onnx.helper.tensor_dtype_to_np_dtype(info.type.tensor_type.elem_type)]


def text_of(info: onnx.ValueInfoProto) -> str:
    """The shape of ``info`` as people write it, with the names of open sizes."""
    if not info.type.tensor_type.HasField("shape"):
        return "of unknown rank"
    dims = info.type.tensor_type.shape.dim
    return (
        "x".join(
            d.dim_param or (str(d.dim_value) if d.HasField("dim_value") else "?") for d in dims
        )
        or "scalar"
    )
