"""Whether what a TFLite file holds can be believed, before a runtime opens it.

A file is refused unless every index in it is within its range and every constant has the size of
its shape: neither flatbuffers' Python nor TFLite's interpreter looks at all of them.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from splitbed.errors import UsageError
from splitbed.graphs.tflite.operators import (
    OF_SHAPES,
    check_fed,
    check_operator,
    check_quantisation,
)
from splitbed.graphs.tflite.tables import (
    TYPES,
    WIRE_TYPES,
    Model,
    constants,
    has_data,
    operator_name,
    type_name,
)
from splitbed.runtime.tflite import is_older
from splitbed.tensors import NUMPY_TYPES

_BITS = {name: 8 * np.dtype(NUMPY_TYPES[wire]).itemsize for name, wire in WIRE_TYPES.items()}
_BITS |= {"INT2": 2, "INT4": 4, "UINT4": 4, "FLOAT8_E4M3FN": 8, "FLOAT8_E5M2": 8, "BFLOAT16": 16}
_BITS |= {"COMPLEX64": 64, "COMPLEX128": 128}

_MOST_BYTES = 1 << 31  # of a tensor, as in flatbuffers
DAMAGE = "get the file again"
_STATEFUL = ("VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE", "HASHTABLE", "CALL_ONCE")


def check(model: Model) -> None:
    """Raises UsageError, with what is wrong, unless every part of `model` fits the others."""
    if len(model.subgraphs) != 1:
        raise UsageError(
            f"it has {len(model.subgraphs)} subgraphs (control flow, or several signatures): "
            "convert one signature without loops and branches"
        )
    graph = model.subgraphs[0]
    _check_indices(model, graph)
    if any(b.offset for b in model.buffers) or any(t.externalBuffer for t in graph.tensors):
        raise UsageError("its weights are outside the flatbuffer: convert it to one below 2 GB")
    for tensor in graph.tensors:
        _check_tensor(model, tensor)
    _check_operators(model, graph)
    _check_order(model, graph)


def _check_indices(model: Model, graph: Any) -> None:
    tensors = [*graph.inputs, *graph.outputs]
    optional = []
    for operator in graph.operators:
        tensors += operator.outputs
        optional += [*operator.inputs, *operator.intermediates]
    buffers = [tensor.buffer for tensor in graph.tensors]
    buffers += [entry.buffer for entry in model.metadata]
    codes = [operator.opcodeIndex for operator in graph.operators]
    _check_range("tensor", tensors, len(graph.tensors))
    _check_range("tensor", (i for i in optional if i != -1), len(graph.tensors))
    _check_range("buffer", buffers, len(model.buffers))
    _check_range("operator code", codes, len(model.operatorCodes))
    if not graph.inputs or not graph.outputs:
        raise UsageError("it has no inputs or no outputs, so there is nothing to run")
    for what, places in (("input", graph.inputs), ("output", graph.outputs)):
        if len(set(places)) < len(places):
            raise UsageError(f"one of its tensors is an {what} twice: convert it with it once")


def _check_range(what: str, indices: Iterable[int], count: int) -> None:
    for index in indices:
        if not 0 <= index < count:
            raise UsageError(f"it is damaged: it names {what} {index} of {count}; {DAMAGE}")


def _check_tensor(model: Model, tensor: Any) -> None:
    name, kind = tensor.name.decode(), type_name(tensor)
    dims = [int(dim) for dim in (() if tensor.shape is None else tensor.shape)]
    if any(dim < -1 for dim in dims) or kind not in TYPES.values():
        raise UsageError(f"it is damaged: {name!r} has the shape {dims} of type {kind}; {DAMAGE}")
    if tensor.isVariable:
        raise UsageError(f"{name!r} is kept from run to run: convert it without variables")
    if math.prod(dims) * _BITS.get(kind, 8) > 8 * _MOST_BYTES:
        raise UsageError(f"{name!r} of shape {dims} is over 2 GB: is the file whole?")
    check_quantisation(tensor, name, dims)
    data = model.buffers[tensor.buffer]
    if not has_data(data) or tensor.sparsity is not None:
        return
    if kind not in _BITS:
        raise UsageError(f"its constant {name!r} is {kind}, not numbers: convert it without text")
    needed = -(-math.prod(dims) * _BITS[kind] // 8)
    if needed != len(data.data):
        raise UsageError(
            f"it is damaged: {name!r} of shape {dims} and type {kind} needs {needed} bytes, but "
            f"has {len(data.data)}; {DAMAGE}"
        )


def _check_operators(model: Model, graph: Any) -> None:
    settled, trusting = constants(model), is_older()
    for operator in graph.operators:
        name = operator_name(model, operator)
        known = not name.startswith("number ")
        for union in ("builtinOptions", "builtinOptions2"):
            if getattr(operator, f"{union}Type") and getattr(operator, union) is None:
                known = False
        if not known:
            raise UsageError(
                f"its operator {name} is not in the schema of the installed ai-edge-litert: "
                "run 'pip install --upgrade ai-edge-litert', or get the file again"
            )
        if name in _STATEFUL or _any(operator.mutatingVariableInputs):
            raise UsageError(f"its operator {name} keeps state: convert it without variables")
        if operator.largeCustomOptionsOffset > 1:
            raise UsageError(f"the options of its {name} are outside the flatbuffer; {DAMAGE}")
        check_operator(name, operator)
        given = enumerate(operator.inputs)
        fed = [place for place, index in given if index >= 0 and index not in settled]
        if trusting and fed:
            check_fed(name, type_name(graph.tensors[operator.inputs[fed[0]]]), fed)
        if name in OF_SHAPES or not fed:
            settled.update(operator.outputs)


def _check_order(model: Model, graph: Any) -> None:
    """Every tensor is written once, and before it is read."""
    tensors: Sequence[Any] = graph.tensors
    constant = constants(model)
    empty = {i for i, t in enumerate(tensors) if t.shape is not None and 0 in t.shape}
    known = constant.union(graph.inputs)
    if len(known) < len(constant) + len(graph.inputs):
        raise UsageError(f"it is damaged: an input is a constant; {DAMAGE}")
    for number, operator in enumerate(graph.operators):
        name = f"{operator_name(model, operator)} (operator {number})"
        for index in operator.inputs:
            if index >= 0 and index not in known and index not in empty:
                read = tensors[index].name.decode()
                raise UsageError(
                    f"it is damaged: {name} reads {read!r} before it is written; {DAMAGE}"
                )
        for index in operator.outputs:
            if index in known:
                written = tensors[index].name.decode()
                raise UsageError(f"it is damaged: {name} writes {written!r} anew; {DAMAGE}")
            known.add(index)
    for index in graph.outputs:
        if index not in known and index not in empty:
            raise UsageError(
                f"it is damaged: no operator writes the output {tensors[index].name.decode()!r}; "
                f"{DAMAGE}"
            )


def _any(vector: Any) -> bool:
    return vector is not None and any(vector)
