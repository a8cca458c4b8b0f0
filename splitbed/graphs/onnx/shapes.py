"""Static shapes: of the inputs, as the user fixes them, and from these of every tensor."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt
import onnx

from splitbed.errors import UsageError
from splitbed.graphs.graph import Described
from splitbed.graphs.onnx import weights as weights_file
from splitbed.graphs.onnx.weights import Weights
from splitbed.tensors import DATATYPES, TensorInfo

Shape = tuple[int, ...]
"""Dimensions; -1 is one that depends on the data."""

DATA_DEPENDENT_OPS = {"NonZero", "NonMaxSuppression", "Unique", "Compress", "StringSplit"}


def fix_inputs(graph: onnx.GraphProto, shapes: Mapping[str, Sequence[int]]) -> None:
    """Give each input of ``graph`` the static shape of ``shapes``, where its own is not static.

    Raises UsageError for an unknown input, a shape that contradicts the model's, a shape that is
    still dynamic, and an input that is not a tensor of numbers.
    """
    names = [info.name for info in graph.input]
    for name in shapes:
        if name not in names:
            raise UsageError(f"--shape names {name!r}; the model's inputs are {', '.join(names)}.")
    for info in graph.input:
        if not info.type.HasField("tensor_type") or _datatype(info) is None:
            raise UsageError(
                f"Input {info.name!r} is not a tensor of numbers, so it cannot be fed."
            )
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

    What ONNX cannot infer is learnt by running the model on zeros, ones and noise; a dimension
    that differs between the runs depends on the data and stays open. So does one that cannot be
    inferred because of an operator whose output's size is decided by values, for which alone
    nothing is run.
    """
    for output in model.graph.output:
        output.type.tensor_type.ClearField("shape")
    try:
        inferred = onnx.shape_inference.infer_shapes(weights_file.as_inputs(model), data_prop=True)
    except onnx.shape_inference.InferenceError as error:
        raise UsageError(f"The model's shapes contradict each other: {error}") from error
    inferred_infos = [*inferred.graph.value_info, *inferred.graph.output, *model.graph.input]
    found = {info.name: info for info in inferred_infos}
    names = [name for node in model.graph.node for name in node.output if name]
    unknown = [n for n in names if n not in found or -1 in (_shape(found[n]) or (-1,))]
    settled = {
        name
        for name in _depend_on_data(model.graph, set(unknown))
        if name in found and _shape(found[name]) is not None
    }
    for name in settled:
        for dim in found[name].type.tensor_type.shape.dim:
            dim.ClearField("dim_param")  # ONNX makes up a name
    if set(unknown) - settled:
        found.update(_learn(model, weights, unknown, found))
    outputs = {output.name for output in model.graph.output}
    for output in model.graph.output:
        if output.name in found:
            output.CopyFrom(found[output.name])
    kept = [found[name] for name in names if name in found and name not in outputs]
    model.graph.value_info.extend(kept)


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
        datatype, shape = _datatype(info), _shape(info)
        if datatype is None or shape is None:
            raise UsageError(
                f"Output {info.name!r} is not a tensor of numbers of a known rank ({_text(info)}): "
                "end the model before it."
            )
        described.append(TensorInfo(info.name, datatype, shape))
    return tuple(described)


def _describe(name: str, info: onnx.ValueInfoProto | None) -> Described:
    shape = _shape(info) if info else None
    if info is None or shape is None:
        return f"the shape of {name!r} could not be inferred"
    datatype = _datatype(info)
    if datatype is None:
        return f"{name!r} is not a tensor of numbers that the wire knows"
    if -1 in shape:
        return f"the shape of {name!r} depends on the data ({_text(info)})"
    return TensorInfo(name, datatype, shape)


def _learn(
    model: onnx.ModelProto,
    weights: Weights,
    unknown: Sequence[str],
    inferred: Mapping[str, onnx.ValueInfoProto],
) -> dict[str, onnx.ValueInfoProto]:
    """The ``unknown`` tensors, with the shapes that all runs agree on."""
    runs = _run(model, weights, unknown)
    doubtful = _depend_on_data(model.graph, set(unknown))
    learnt = {}
    for index, name in enumerate(unknown):
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


def _run(
    model: onnx.ModelProto, weights: Weights, outputs: Sequence[str]
) -> list[Sequence[object]]:
    import onnxruntime as ort  # late: a quarter of a second, seldom needed

    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    del probe.graph.output[:]
    probe.graph.output.extend(onnx.ValueInfoProto(name=name) for name in outputs)
    options = ort.SessionOptions()
    options.log_severity_level = 4
    runs: list[Sequence[object]] = []
    noise = np.random.default_rng(0)
    with TemporaryDirectory(prefix="splitbed-") as folder:
        path = Path(folder, "probe.onnx")
        weights_file.write(weights, path.with_name(weights_file.FILE))
        path.write_bytes(probe.SerializeToString())
        try:
            session = ort.InferenceSession(
                path, options, providers=["CPUExecutionProvider"], enable_fallback=0
            )
            for fill in (0, 1, None):
                feeds = {info.name: _made_up(info, fill, noise) for info in model.graph.input}
                runs.append(session.run(None, feeds))
        except Exception:  # ONNX Runtime's errors share no other base; the cut will say so
            return runs
    return runs


def _made_up(
    info: onnx.ValueInfoProto, fill: int | None, noise: np.random.Generator
) -> npt.NDArray[np.generic]:
    shape = _shape(info) or ()
    dtype = onnx.helper.tensor_dtype_to_np_dtype(info.type.tensor_type.elem_type)
    if fill is None and dtype.kind == "f":
        return noise.standard_normal(shape).astype(dtype)
    return np.full(shape, 1 if fill is None else fill, dtype)


def _depend_on_data(graph: onnx.GraphProto, unknown: set[str]) -> set[str]:
    """The ``unknown`` tensors at or after an operator whose output's size is decided by values."""
    depend: set[str] = set()
    for node in graph.node:
        if node.op_type in DATA_DEPENDENT_OPS or depend.intersection(node.input):
            depend.update(unknown.intersection(node.output))
    return depend


def _check_shape(info: onnx.ValueInfoProto, asked: Shape) -> None:
    own = _shape(info)
    agree = own is None or (
        len(own) == len(asked) and all(a in (b, -1) for a, b in zip(own, asked, strict=True))
    )
    if not agree or any(dim < 1 for dim in asked):
        raise UsageError(
            f"--shape gives input {info.name!r} the shape {'x'.join(map(str, asked))}; the model "
            f"needs {_text(info)}, each dimension at least 1."
        )


def _set_shape(info: onnx.ValueInfoProto, shape: Iterable[int]) -> None:
    elem_type = info.type.tensor_type.elem_type
    info.CopyFrom(onnx.helper.make_tensor_value_info(info.name, elem_type, list(shape)))


def _shape(info: onnx.ValueInfoProto) -> Shape | None:
    if not info.type.tensor_type.HasField("shape"):
        return None
    dims = info.type.tensor_type.shape.dim
    # Some exporters write 0 or -1 for "any size".
    return tuple(dim.dim_value if dim.dim_value > 0 else -1 for dim in dims)


def _datatype(info: onnx.ValueInfoProto) -> str | None:
    elem_type = info.type.tensor_type.elem_type
    if elem_type in (onnx.TensorProto.UNDEFINED, onnx.TensorProto.STRING):
        return None
    return DATATYPES.get(onnx.helper.tensor_dtype_to_np_dtype(elem_type))


def _text(info: onnx.ValueInfoProto) -> str:
    if not info.type.tensor_type.HasField("shape"):
        return "of unknown rank"
    dims = info.type.tensor_type.shape.dim
    return (
        "x".join(d.dim_param or (str(d.dim_value) if d.dim_value > 0 else "?") for d in dims)
        or "scalar"
    )
