"""Static shapes: of the inputs, as the user fixes them, and from these of every tensor.

The interpreter tells the shapes, and which tensors get theirs only while the model runs.  Of
these, one that three runs on zeros, ones and noise give the same shape is static after all, unless
it comes of an operator that looks for something in the data.  In a model whose shapes were found, a
tensor whose shape depends on the data has -1 in its ``shapeSignature``; no other tensor has one.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from splitbed.errors import UsageError
from splitbed.graphs.tflite_file import (
    WIRE_TYPES,
    Model,
    changed,
    operator_name,
    serialised,
    type_name,
)
from splitbed.runtime.tflite import interpreter_class, resolver_without_delegates
from splitbed.tensors import NUMPY_TYPES

Shape = tuple[int, ...]
"""Dimensions; -1 is one that depends on the data."""

_LOOKING = ("WHERE", "UNIQUE", "SEGMENT_SUM", "HASHTABLE_LOOKUP")
_NEVER_SET = (0,)  # what a probe says of the tensors that operators write


def fix_inputs(model: Model, shapes: Mapping[str, Sequence[int]]) -> dict[int, Shape]:
    """The static shape of each input of ``model``: from ``shapes``, else as in the file.

    A batch size left open is 1, as TFLite's interpreter takes it; any other open size must be
    given.  Raises UsageError for an unknown input, a shape that contradicts the model's, one that
    is still open, and an input that is not a tensor of numbers.
    """
    graph = model.subgraphs[0]
    inputs = {place: graph.tensors[place] for place in graph.inputs}
    names = [tensor.name.decode() for tensor in inputs.values()]
    for name in shapes:
        if name not in names:
            raise UsageError(f"--shape names {name!r}; the model's inputs are {', '.join(names)}.")
    fixed = {}
    for place, tensor in inputs.items():
        name, own = tensor.name.decode(), _signature(tensor)
        if type_name(tensor) not in WIRE_TYPES:
            raise UsageError(f"Input {name!r} is {type_name(tensor)}, so it cannot be fed.")
        shape = tuple(shapes.get(name, own))
        agree = len(own) == len(shape) and all(
            size in (asked, -1) for size, asked in zip(own, shape, strict=True)
        )
        if name in shapes and not (agree and all(size > 0 for size in shape)):
            raise UsageError(
                f"--shape gives input {name!r} the shape {in_words(shape)}; the model needs "
                f"{in_words(own)}, each dimension at least 1."
            )
        if name not in shapes and shape[:1] == (-1,):
            shape = (1, *shape[1:])
        if -1 in shape:
            example = "x".join(str(size if size > 0 else 224) for size in shape)
            raise UsageError(
                f"Input {name!r} is dynamic: {in_words(own)}. Fix it, for example with "
                f"--shape {name}={example}."
            )
        fixed[place] = shape
    return fixed


def with_shapes(model: Model, fixed: Mapping[int, Shape]) -> Model:
    """``model`` with the shape of every tensor, its inputs having the shapes ``fixed``.

    Raises UsageError where the interpreter refuses the model or the shapes.
    """
    graph = model.subgraphs[0]
    written = [place for operator in graph.operators for place in operator.outputs]
    found = _allocated(model, fixed)
    probe = _replaced(model, dict.fromkeys(written, _NEVER_SET))
    try:
        first = _allocated(probe, fixed)
        open_places = [place for place in written if first[place] == _NEVER_SET]
    except UsageError:  # an operator that relies on the file's shape of what it writes
        open_places = written
    if open_places:
        found |= _learnt(model, fixed, open_places)
    return _replaced(model, found)


def shape_of(tensor: Any) -> Shape:
    """The shape of ``tensor``, in a model whose shapes were found."""
    dims = tensor.shape if tensor.shapeSignature is None else tensor.shapeSignature
    return tuple(int(dim) for dim in (() if dims is None else dims))


def in_words(shape: Sequence[int]) -> str:
    """``shape`` as a user writes it."""
    return "x".join(str(size) if size >= 0 else "?" for size in shape) or "scalar"


def _signature(tensor: Any) -> Shape:
    """The shape in the file, where whatever is not a size is -1, as the converters mean it."""
    return tuple(dim if dim > 0 else -1 for dim in shape_of(tensor))


def _replaced(model: Model, shapes: Mapping[int, Shape]) -> Model:
    graph = model.subgraphs[0]
    tensors = list(graph.tensors)
    for place, shape in shapes.items():
        dims = np.array(shape, np.int32)
        tensors[place] = changed(
            tensors[place],
            shape=np.maximum(dims, 1) if -1 in shape else dims,
            shapeSignature=dims if -1 in shape else None,
        )
    return changed(model, subgraphs=[changed(graph, tensors=tensors)])


def _opened(model: Model, fixed: Mapping[int, Shape]) -> Any:
    """An interpreter of ``model`` that has allocated its tensors."""
    try:
        interpreter = interpreter_class()(
            model_content=serialised(model),
            experimental_op_resolver_type=resolver_without_delegates(),
            num_threads=1,
        )
        for place, shape in fixed.items():
            interpreter.resize_tensor_input(place, shape)
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise UsageError(f"TFLite cannot run it: {' '.join(str(error).split())}") from error
    return interpreter


def _shapes(interpreter: Any, model: Model) -> dict[int, Shape]:
    count = len(model.subgraphs[0].tensors)
    details = {detail["index"]: detail for detail in interpreter.get_tensor_details()}
    return {i: tuple(map(int, details[i]["shape"])) for i in range(count)}


def _allocated(model: Model, fixed: Mapping[int, Shape]) -> dict[int, Shape]:
    return _shapes(_opened(model, fixed), model)


def _learnt(model: Model, fixed: Mapping[int, Shape], places: Sequence[int]) -> dict[int, Shape]:
    """The shapes of the tensors at ``places`` that all runs agree on, with -1 for the rest."""
    interpreter = _opened(model, fixed)
    noise = np.random.default_rng(0)
    runs = []
    for fill in (0, 1, None):
        for place, shape in fixed.items():
            dtype = np.dtype(NUMPY_TYPES[WIRE_TYPES[type_name(model.subgraphs[0].tensors[place])]])
            interpreter.set_tensor(place, _made_up(shape, dtype, fill, noise))
        try:
            interpreter.invoke()
        except (ValueError, RuntimeError):
            continue  # made-up input need not make sense to the model
        runs.append(_shapes(interpreter, model))
    doubtful = _doubtful(model, set(places))
    learnt: dict[int, Shape] = {}
    for place in places:
        seen = {run[place] for run in runs}
        sizes = [set(dims) for dims in zip(*seen, strict=False)]
        if not runs or len({len(shape) for shape in seen}) > 1:
            learnt[place] = (-1,)
        elif place in doubtful:
            learnt[place] = (-1,) * len(sizes)
        else:
            learnt[place] = tuple(size.pop() if len(size) == 1 else -1 for size in sizes)
    return learnt


def _made_up(
    shape: Shape, dtype: np.dtype[Any], fill: int | None, noise: np.random.Generator
) -> npt.NDArray[np.generic]:
    if fill is None and dtype.kind == "f":
        return noise.standard_normal(shape).astype(dtype)
    return np.full(shape, 1 if fill is None else fill, dtype)


def _doubtful(model: Model, places: set[int]) -> set[int]:
    """Those of ``places`` at or after an operator whose output's size is decided by values."""
    doubtful: set[int] = set()
    for operator in model.subgraphs[0].operators:
        if operator_name(model, operator) in _LOOKING or doubtful.intersection(operator.inputs):
            doubtful.update(places.intersection(operator.outputs))
    return doubtful
