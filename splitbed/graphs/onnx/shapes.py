"""Static shapes: of the inputs, as the user fixes them, and from these of every tensor."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import onnx

from splitbed.errors import UsageError
from splitbed.graphs.graph import Described
from splitbed.graphs.onnx import trial
from splitbed.graphs.onnx import weights as weights_file
from splitbed.graphs.onnx.layers import constants
from splitbed.graphs.onnx.normal import drop_unused, outputs_from_layers
from splitbed.graphs.onnx.weights import Weights
from splitbed.tensors import DATATYPES, TensorInfo

Shape = tuple[int, ...]
"""Dimensions; -1 is one that depends on the data."""

DATA_DEPENDENT_OPS = {"NonZero", "NonMaxSuppression", "Unique", "Compress", "StringSplit"}
SIZED_BY = {
    "CenterCropPad": (1,), "ConstantOfShape": (0,), "Expand": (1,), "OneHot": (1,), "Pad": (1,),
    "Range": (0, 1, 2), "Reshape": (1,), "Resize": (1, 2, 3), "Slice": (1, 2, 3, 4), "Tile": (1,),
    "TopK": (1,), "Upsample": (1,),
}  # fmt: skip
"""Operators whose output has a size that values of these inputs decide."""


def fix_inputs(
    graph: onnx.GraphProto, shapes: Mapping[str, Sequence[int]], unread: Iterable[str] = ()
) -> None:
    """Give each input of ``graph`` the static shape of ``shapes``, where its own is not static.

    ``unread`` are inputs that the model declares and does not read: shapes of these do not matter.
    Raises UsageError for an unknown input, a shape that contradicts the model's, a shape that is
    still dynamic, and an input that is not a tensor of numbers.
    """
    names = [*(info.name for info in graph.input), *unread]
    for name in shapes:
        if name not in names:
            raise UsageError(f"--shape names {name!r}; the model's inputs are {', '.join(names)}.")
    for info in graph.input:
        if fault := _kind_fault(info):
            raise UsageError(f"Input {info.name!r} cannot be fed: it is {fault}.")
        for dim in info.type.tensor_type.shape.dim:
            if dim.dim_value <= 0:  # some exporters write 0 or -1 for "any size"
                dim.ClearField("dim_value")
        asked = tuple(shapes.get(info.name, ()))
        if info.name in shapes:
            _check_shape(info, asked)
            _set_shape(info, asked)
        shape = _shape(info)
        if shape is None or -1 in shape:
            sizes = shape or (1, 3, -1, -1)
            # what is fixed stays; the batch becomes 1
            example = "x".join(
                str(size if size >= 0 else 224 if i else 1) for i, size in enumerate(sizes)
            )
            raise UsageError(
                f"Input {info.name!r} is dynamic: {_text(info)}. Fix it, for example with "
                f"--shape {info.name}={example}."
            )


def infer(model: onnx.ModelProto, weights: Weights) -> None:
    """Fill in the shape of every tensor of ``model``, whose inputs are static.

    A shape that the model asks for becomes a weight, and so does what is made of such alone.
    What ONNX cannot infer is learnt by running the model on zeros, ones and noise; a dimension
    that differs between the runs depends on the data and stays open. So does one that cannot be
    inferred because of an operator whose output's size is decided by values, for which alone
    nothing is run.  Raises UsageError where ONNX Runtime cannot run the model.
    """
    graph = model.graph
    for output in graph.output:
        if output.type.HasField("tensor_type"):
            output.type.tensor_type.ClearField("shape")
    found = _inferred(model)
    while _fold(graph, found):
        found = _inferred(model)
    names = [name for node in graph.node for name in node.output if name]
    unknown = [n for n in names if n not in found or -1 in (_shape(found[n]) or (-1,))]
    unknown = [n for n in unknown if n not in found or found[n].type.HasField("tensor_type")]
    settled = {
        name
        for name in _depend_on_data(graph, set(unknown))
        if name in found and _shape(found[name]) is not None
    }
    for name in settled:
        for dim in found[name].type.tensor_type.shape.dim:
            dim.ClearField("dim_param")  # ONNX makes up a name
    if set(unknown) - settled:
        found.update(_learn(model, weights, unknown, found))
        _fold(graph, found)
    outputs_from_layers(graph)
    drop_unused(graph)
    outputs = {output.name for output in graph.output}
    for output in graph.output:
        if output.name in found:
            output.CopyFrom(found[output.name])
    names = [name for node in graph.node for name in node.output if name not in outputs]
    graph.value_info.extend(found[name] for name in names if name in found)


def _inferred(model: onnx.ModelProto) -> dict[str, onnx.ValueInfoProto]:
    try:
        inferred = onnx.shape_inference.infer_shapes(weights_file.as_inputs(model), data_prop=True)
    except onnx.shape_inference.InferenceError as error:
        raise UsageError(f"The model's shapes contradict each other: {error}") from error
    infos = [*inferred.graph.value_info, *inferred.graph.output, *model.graph.input]
    return {info.name: info for info in infos}


def _fold(graph: onnx.GraphProto, found: Mapping[str, onnx.ValueInfoProto]) -> bool:
    """Turn each Shape and Size of a tensor of static shape into a weight; whether there was one."""
    kept, before = [], len(graph.node)
    weights = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    for node in graph.node:
        shape = None
        if node.op_type in ("Shape", "Size") and node.domain in ("", "ai.onnx") and node.input:
            info = found.get(node.input[0])
            shape = _shape(info) if info is not None else weights.get(node.input[0])
        if shape is None or -1 in shape:
            kept.append(node)
            continue
        ends = {attribute.name: attribute.i for attribute in node.attribute}
        sizes = np.array(shape[ends.get("start") : ends.get("end")], np.int64)
        value = sizes if node.op_type == "Shape" else sizes.prod()
        graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(value), node.output[0]))
    if len(kept) < before:
        del graph.node[:]
        graph.node.extend(kept)
        outputs_from_layers(graph)
    return len(kept) < before


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
            raise UsageError(f"Input {info.name!r} cannot be fed: {tensor}.")
        described.append(tensor)
    return tuple(described)


def describe_outputs(graph: onnx.GraphProto) -> tuple[TensorInfo, ...]:
    """The outputs of ``graph``, with -1 for dimensions that depend on the data."""
    described = []
    for info in graph.output:
        if fault := _kind_fault(info):
            raise UsageError(f"Output {info.name!r} is {fault}: {_ending(graph, info.name)}")
        shape = _shape(info)
        if shape is None:
            raise UsageError(
                f"Output {info.name!r} is not of a known rank, and ONNX Runtime could not be run "
                "on made-up inputs to learn it: end the model before it."
            )
        described.append(TensorInfo(info.name, _datatype(info), shape))
    return tuple(described)


def _ending(graph: onnx.GraphProto, output: str) -> str:
    """How to end the model before ``output``, which cannot be had."""
    made = next((node for node in graph.node if output in node.output), None)
    if made is None:
        return "end the model before it."
    zipped = ", as skl2onnx does with options={'zipmap': False}" if made.op_type == "ZipMap" else ""
    return (
        f"node {made.name!r} ({made.op_type}) makes it; end the model before that node, at "
        f"{', '.join(map(repr, made.input))}{zipped}."
    )


def _describe(name: str, info: onnx.ValueInfoProto | None) -> Described:
    if info is None:
        return f"the shape of {name!r} could not be inferred"
    if fault := _kind_fault(info):
        return f"{name!r} is {fault}"
    shape = _shape(info)
    if shape is None:
        return f"the shape of {name!r} could not be inferred"
    if -1 in shape:
        return f"the shape of {name!r} depends on the data ({_text(info)})"
    return TensorInfo(name, _datatype(info), shape)


def _kind_fault(info: onnx.ValueInfoProto) -> str:
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


def _learn(
    model: onnx.ModelProto,
    weights: Weights,
    unknown: Sequence[str],
    inferred: Mapping[str, onnx.ValueInfoProto],
) -> dict[str, onnx.ValueInfoProto]:
    """The ``unknown`` tensors, with the shapes that all runs agree on."""
    with trial.opened(model, weights, unknown) as session:
        fed = [trial.made_up(model.graph, fill) for fill in (0, 1, None)]
        runs = [run for feeds in fed if (run := trial.run(session, feeds)) is not None]
    doubtful = _depend_on_data(model.graph, set(unknown))
    learnt = {}
    for index, name in enumerate(unknown):
        if any(isinstance(run[index], list) for run in runs):
            learnt[name] = onnx.helper.make_tensor_sequence_value_info(name, 0, None)
        values = [value for run in runs if isinstance(value := run[index], np.ndarray)]
        if not values or len({value.ndim for value in values}) > 1:
            continue
        known = (_shape(inferred[name]) if name in inferred else None) or (-1,) * values[0].ndim
        shape = tuple(
            sizes[0] if len(set(sizes)) == 1 and (name not in doubtful or dim >= 0) else -1
            for dim, *sizes in zip(known, *(value.shape for value in values), strict=True)
        )
        elem_type = onnx.helper.np_dtype_to_tensor_dtype(values[0].dtype)
        learnt[name] = onnx.helper.make_tensor_value_info(
            name, elem_type, [None if dim < 0 else dim for dim in shape]
        )
    return learnt


def _depend_on_data(graph: onnx.GraphProto, unknown: set[str]) -> set[str]:
    """The ``unknown`` tensors at or after an operator whose output's size is decided by values."""
    depend: set[str] = set()
    if not unknown:
        return depend
    weights, valued = constants(graph), {info.name for info in graph.input}
    for node in graph.node:
        if weights.issuperset(node.output):
            continue
        sizes = [name for place, name in enumerate(node.input) if place in _sized_by(node)]
        decided = node.op_type in DATA_DEPENDENT_OPS or not valued.isdisjoint(sizes)
        if decided or depend.intersection(node.input):
            depend.update(unknown.intersection(node.output))
        if node.op_type not in ("Shape", "Size") and not valued.isdisjoint(node.input):
            valued.update(name for name in node.output if name)
    return depend


def _sized_by(node: onnx.NodeProto) -> tuple[int, ...]:
    return SIZED_BY.get(node.op_type, ()) if node.domain in ("", "ai.onnx") else ()


def _check_shape(info: onnx.ValueInfoProto, asked: Shape) -> None:
    own = _shape(info)
    agree = own is None or (
        len(own) == len(asked) and all(a in (b, -1) for a, b in zip(own, asked, strict=True))
    )
    if not agree or any(dim < 0 for dim in asked):
        raise UsageError(
            f"--shape gives input {info.name!r} the shape {'x'.join(map(str, asked))}; the model "
            f"needs {_text(info)}, each dimension at least 0."
        )


def _set_shape(info: onnx.ValueInfoProto, shape: Iterable[int]) -> None:
    elem_type = info.type.tensor_type.elem_type
    info.CopyFrom(onnx.helper.make_tensor_value_info(info.name, elem_type, list(shape)))


def _shape(info: onnx.ValueInfoProto) -> Shape | None:
    if not info.type.tensor_type.HasField("shape"):
        return None
    dims = info.type.tensor_type.shape.dim
    return tuple(d.dim_value if d.HasField("dim_value") and d.dim_value >= 0 else -1 for d in dims)


def _datatype(info: onnx.ValueInfoProto) -> str:
    return DATATYPES[onnx.helper.tensor_dtype_to_np_dtype(info.type.tensor_type.elem_type)]


def _text(info: onnx.ValueInfoProto) -> str:
    if not info.type.tensor_type.HasField("shape"):
        return "of unknown rank"
    dims = info.type.tensor_type.shape.dim
    return (
        "x".join(
            d.dim_param or (str(d.dim_value) if d.HasField("dim_value") else "?") for d in dims
        )
        or "scalar"
    )
