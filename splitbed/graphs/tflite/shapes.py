"""Static shapes: of the inputs, as the user fixes them, and from these of every tensor.

The interpreter tells the shapes, and which tensors get theirs only while the model runs.  Of
these, one that three runs on zeros, ones and noise give the same shape is static after all, unless
it comes of an operator that looks for something in the data.  In a model whose shapes were found, a
tensor whose shape depends on the data has -1 in its ``shapeSignature``; no other tensor has one.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from splitbed.errors import UsageError
from splitbed.graphs.tflite.file import serialised
from splitbed.graphs.tflite.probe import NEVER_SET, Shape, ask
from splitbed.graphs.tflite.tables import (
    WIRE_TYPES,
    Model,
    Tensor,
    changed,
    operator_name,
    type_name,
)

_LOOKING = ("WHERE", "UNIQUE", "SEGMENT_SUM", "HASHTABLE_LOOKUP")


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
            raise UsageError(f"--shape names {name!r}; the model's inputs are {', '.join(names)}")
    fixed = {}
    for place, tensor in inputs.items():
        name, own = tensor.name.decode(), _signature(tensor)
        if type_name(tensor) not in WIRE_TYPES:
            raise UsageError(f"input {name!r} is {type_name(tensor)}, so it cannot be fed")
        shape = tuple(shapes.get(name, own))
        agree = len(own) == len(shape) and all(
            size in (asked, -1) for size, asked in zip(own, shape, strict=True)
        )
        if name in shapes and not (agree and all(size > 0 for size in shape)):
            raise UsageError(
                f"--shape gives input {name!r} the shape {in_words(shape)}; the model needs "
                f"{in_words(own)}, each dimension at least 1"
            )
        if name not in shapes and shape[:1] == (-1,):
            shape = (1, *shape[1:])
        if -1 in shape:
            example = "x".join(str(size if size > 0 else 224) for size in shape)
            raise UsageError(
                f"input {name!r} is dynamic: {in_words(own)}; fix it, for example with "
                f"--shape {name}={example}"
            )
        fixed[place] = shape
    return fixed


def with_shapes(model: Model, fixed: Mapping[int, Shape]) -> Model:
    """``model`` with the shape of every tensor, its inputs having the shapes ``fixed``.

    Raises UsageError where the interpreter refuses the model or the shapes.
    """
    graph = model.subgraphs[0]
    written = [place for operator in graph.operators for place in operator.outputs]
    question = _replaced(model, dict.fromkeys(written, NEVER_SET))
    answer = ask(serialised(question), fixed, written)
    found = {i: () if t.shape is None else tuple(t.shape) for i, t in enumerate(graph.tensors)}
    found |= fixed
    found |= {place: answer.allocated.get(place, found[place]) for place in written}
    late = {place for place in written if found[place] == NEVER_SET}
    doubtful = _doubtful(model, late)
    for place in late:
        found[place] = _agreed([run[place] for run in answer.runs], place in doubtful)
    return _replaced(model, found)


def shape_of(tensor: Tensor) -> Shape:
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


def _agreed(shapes: Sequence[Shape], doubtful: bool) -> Shape:
    """The sizes that all runs agree on, -1 for the rest; if the rank is open, too, just -1."""
    if len({len(shape) for shape in shapes}) != 1:
        return (-1,)
    sizes = [set(column) for column in zip(*shapes, strict=True)]
    return tuple(-1 if doubtful or len(size) > 1 else size.pop() for size in sizes)


def _doubtful(model: Model, places: set[int]) -> set[int]:
    """Those of ``places`` at or after an operator whose output's size is decided by values."""
    doubtful: set[int] = set()
    for operator in model.subgraphs[0].operators:
        if operator_name(model, operator) in _LOOKING or doubtful.intersection(operator.inputs):
            doubtful.update(places.intersection(operator.outputs))
    return doubtful
