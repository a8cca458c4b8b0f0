"""Static shapes: of the inputs, as the user fixes them, and from these of every tensor."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import onnx

from splitbed.errors import UsageError
from splitbed.graphs.onnx import trial
from splitbed.graphs.onnx import weights as weights_file
from splitbed.graphs.onnx.described import Shape, kind_fault, shape_of, text_of
from splitbed.graphs.onnx.layers import constants
from splitbed.graphs.onnx.normal import drop_unused, outputs_from_layers
from splitbed.graphs.onnx.weights import Weights

DATA_DEPENDENT_OPS = {"NonZero", "NonMaxSuppression", "Unique", "Compress", "StringSplit"}
SIZED_BY = {
    "CenterCropPad": (1,), "ConstantOfShape": (0,), "Expand": (1,), "OneHot": (1,), "Pad": (1,),
    "Range": (0, 1, 2), "Reshape": (1,), "Resize": (1, 2, 3), "Slice": (1, 2, 3, 4), "Tile": (1,),
    "TopK": (1,), "Upsample": (1,),
}  # fmt: skip
"""Operators whose output has a size that values of these inputs decide."""
_GRAPHS = (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS)


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
            raise UsageError(f"--shape names {name!r}; the model's inputs are {', '.join(names)}")
    for info in graph.input:
        if fault := kind_fault(info):
            raise UsageError(f"input {info.name!r} cannot be fed: it is {fault}")
        for dim in info.type.tensor_type.shape.dim:
            if dim.dim_value <= 0:  # some exporters write 0 or -1 for "any size"
                dim.ClearField("dim_value")
        asked = tuple(shapes.get(info.name, ()))
        if info.name in shapes:
            _check_shape(info, asked)
            _set_shape(info, asked)
        shape = shape_of(info)
        if shape is None or -1 in shape:
            sizes = shape or (1, 3, -1, -1)
            # what is fixed stays; the batch becomes 1
            example = "x".join(
                str(size if size >= 0 else 224 if i else 1) for i, size in enumerate(sizes)
            )
            raise UsageError(
                f"input {info.name!r} is dynamic: {text_of(info)}; fix it, for example with "
                f"--shape {info.name}={example}"
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
    unknown = [n for n in names if n not in found or -1 in (shape_of(found[n]) or (-1,))]
    unknown = [n for n in unknown if n not in found or found[n].type.HasField("tensor_type")]
    settled = {
        name
        for name in _depend_on_data(graph, set(unknown))
        if name in found and shape_of(found[name]) is not None
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


def check(model: onnx.ModelProto) -> None:
    """Raise UsageError where what ``model`` says of shapes contradicts what its operators make."""
    _inferred(model)


def decided_by(graph: onnx.GraphProto, weights: set[str]) -> bool:
    """Whether values of these weights, or what is made of weights alone, decide a size.

    They may where that is not known: of a graph within a node, and of a function.
    """
    made_of, constant = set(weights), constants(graph)
    for node in graph.node:
        own = node.domain in ("", "ai.onnx")
        if not own and not made_of.isdisjoint(node.input):
            return True
        if any(attribute.type in _GRAPHS for attribute in node.attribute):
            return True
        sizes = {name for place, name in enumerate(node.input) if place in _sized_by(node)}
        if not made_of.isdisjoint(sizes):
            return True
        if node.op_type in DATA_DEPENDENT_OPS and constant.issuperset(node.output):
            return True
        if constant.issuperset(node.output) and not made_of.isdisjoint(node.input):
            made_of.update(node.output)
    return False


def _inferred(model: onnx.ModelProto) -> dict[str, onnx.ValueInfoProto]:
    try:
        inferred = onnx.shape_inference.infer_shapes(weights_file.as_inputs(model), data_prop=True)
    except onnx.shape_inference.InferenceError as error:
        raise UsageError(f"the model's shapes contradict each other: {error}") from error
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
            shape = shape_of(info) if info is not None else weights.get(node.input[0])
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
        known = (shape_of(inferred[name]) if name in inferred else None) or (-1,) * values[0].ndim
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
    own = shape_of(info)
    agree = own is None or (
        len(own) == len(asked) and all(a in (b, -1) for a, b in zip(own, asked, strict=True))
    )
    if not agree or any(dim < 0 for dim in asked):
        raise UsageError(
            f"--shape gives input {info.name!r} the shape {'x'.join(map(str, asked))}; the model "
            f"needs {text_of(info)}, each dimension at least 0"
        )


def _set_shape(info: onnx.ValueInfoProto, shape: Iterable[int]) -> None:
    elem_type = info.type.tensor_type.elem_type
    info.CopyFrom(onnx.helper.make_tensor_value_info(info.name, elem_type, list(shape)))
