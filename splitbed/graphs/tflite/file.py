"""Reads a TFLite file into the schema's objects, checks it, and writes one.

A file is refused unless every index in it is within its range and every constant has the size of
its shape: neither flatbuffers' Python nor TFLite's interpreter looks at all of them.
"""

import copy
import math
import struct
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar, cast

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from splitbed.errors import UsageError
from splitbed.graphs.tflite.operators import (
    OF_SHAPES,
    check_fed,
    check_operator,
    check_quantisation,
)
from splitbed.graphs.tflite.tables import Buffer, Model, Operator, Tensor
from splitbed.runtime.tflite import is_older
from splitbed.tensors import NUMPY_TYPES

_Table = TypeVar("_Table")

WIRE_TYPES = {"FLOAT16": "FP16", "FLOAT32": "FP32", "FLOAT64": "FP64"}
WIRE_TYPES |= {name: name for name in NUMPY_TYPES if not name.startswith("FP")}
"""TFLite's types that the wire knows, and the wire's names of them."""

_BITS = {name: 8 * np.dtype(NUMPY_TYPES[wire]).itemsize for name, wire in WIRE_TYPES.items()}
_BITS |= {"INT2": 2, "INT4": 4, "UINT4": 4, "FLOAT8_E4M3FN": 8, "FLOAT8_E5M2": 8, "BFLOAT16": 16}
_BITS |= {"COMPLEX64": 64, "COMPLEX128": 128}

_MARK = b"TFL3"
_ALIGNMENT_BYTES = 16  # the schema's `force_align`, which flatbuffers' Python leaves out
_MOST_ENTRIES = 100_000  # of a list: a damaged length would keep us busy for minutes
_MOST_BYTES = 1 << 31  # of a tensor, as in flatbuffers
_DAMAGE = "get the file again"


def _names(enumeration: Any) -> dict[int, str]:
    return {value: name for name, value in vars(enumeration).items() if isinstance(value, int)}


_TYPES = _names(schema.TensorType)
_OPERATORS = _names(schema.BuiltinOperator)
_STATEFUL = ("VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE", "HASHTABLE", "CALL_ONCE")


def parse(path: Path) -> Model:
    """The content of the file ``path``.

    Raises UsageError for a file that is missing, not TFLite or damaged, and for one with several
    subgraphs (control flow), state, text, or weights outside the flatbuffer.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read the model {path}: {error.strerror}") from error
    if data[4:8] != _MARK:
        raise UsageError(f"{path} is not a TFLite file: it lacks the mark {_MARK.decode()}")
    try:
        model = _unpacked(data)
    except (struct.error, LookupError, ValueError, TypeError, AttributeError) as error:
        raise UsageError(f"{path} is damaged, or not a whole file: {error}; {_DAMAGE}") from error
    try:
        _check(model)
    except UsageError as error:
        raise UsageError(f"cannot split {path}: {error}") from error
    return model


def serialised(model: Model) -> memoryview:
    """The content of a file of ``model``: the same for the same model."""
    graph = model.subgraphs[0]
    constants = sum(0 if buffer.data is None else len(buffer.data) for buffer in model.buffers)
    rest = 1024 * (len(graph.tensors) + len(graph.operators) + len(model.buffers) + 16)
    buffers = [SimpleNamespace(Pack=partial(_pack_buffer, b)) for b in model.buffers]
    builder = flatbuffers.Builder(constants + rest)  # it grows by copying all of it
    builder.Finish(changed(model, buffers=buffers).Pack(builder), _MARK)
    return memoryview(builder.Bytes)[builder.Head() :]  # not Output(), which copies all of it


def has_data(buffer: Buffer) -> bool:
    """Whether ``buffer`` holds a constant."""
    return buffer.data is not None and len(buffer.data) > 0


def constants(model: Model) -> set[int]:
    """Places of the tensors that are constants."""
    tensors = model.subgraphs[0].tensors
    return {i for i, t in enumerate(tensors) if has_data(model.buffers[t.buffer])}


def places_of(data: NDArray[np.uint8], buffers: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Where the data of each of these buffers are in a file: from, to; 0, 0 of an empty one.

    The schema's own accessors give values, not places.
    """
    root = schema.Model.GetRootAs(data, 0)
    for buffer in buffers:
        table = root.Buffers(buffer)._tab
        field = table.Offset(4)  # of its only vector, the data
        begin = table.Vector(field) if field else 0
        yield begin, begin + (table.VectorLen(field) if field else 0)


def changed(table: _Table, **fields: object) -> _Table:
    """A copy of ``table``, an object of the schema, with other ``fields``."""
    copied = copy.copy(table)
    vars(copied).update(fields)
    return copied


def type_name(tensor: Tensor) -> str:
    """TFLite's name of the type of ``tensor``."""
    return _TYPES.get(tensor.type, f"number {tensor.type}")


def operator_name(model: Model, operator: Operator) -> str:
    """What ``operator`` computes: TFLite's name, or that of a custom operator."""
    code = model.operatorCodes[operator.opcodeIndex]
    number = max(code.deprecatedBuiltinCode, code.builtinCode)
    if number == schema.BuiltinOperator.CUSTOM:
        return (code.customCode or b"CUSTOM").decode(errors="replace")
    return _OPERATORS.get(number, f"number {number}")


def _unpacked(data: bytes) -> Model:
    root = schema.Model.GetRootAs(data, 0)
    counts = [root.BuffersLength(), root.OperatorCodesLength(), root.SubgraphsLength()]
    counts += [root.MetadataLength(), root.SignatureDefsLength()]
    if root.SubgraphsLength() == 1:
        graph = root.Subgraphs(0)
        counts += [graph.TensorsLength(), graph.OperatorsLength()]
    if max(counts) > _MOST_ENTRIES:
        raise ValueError(f"it has a list of {max(counts)} entries")
    model = schema.ModelT.InitFromObj(root)
    for name in ("subgraphs", "operatorCodes", "buffers", "metadata"):
        setattr(model, name, getattr(model, name) or [])
    for graph in model.subgraphs:
        graph.tensors, graph.operators = graph.tensors or [], graph.operators or []
        graph.inputs, graph.outputs = _places(graph.inputs), _places(graph.outputs)
        for operator in graph.operators:
            operator.inputs = _places(operator.inputs)
            operator.outputs = _places(operator.outputs)
            operator.intermediates = _places(operator.intermediates)
        _name(graph)
    return cast(Model, model)


def _places(vector: Any) -> list[int]:
    return [] if vector is None else [int(place) for place in vector]


def _any(vector: Any) -> bool:
    return vector is not None and any(vector)


def _name(graph: Any) -> None:
    """Make the names of the tensors unique; inputs and outputs are the first to keep theirs."""
    taken = {(tensor.name or b"").decode() for tensor in graph.tensors}
    kept = {""}
    every = range(len(graph.tensors))
    for index in dict.fromkeys([*graph.inputs, *graph.outputs, *every]):
        if index not in every:  # for _check_indices to say
            continue
        tensor = graph.tensors[index]
        name = (tensor.name or b"").decode()
        if name in kept:
            stem, number = name or "tensor", 1 if name else index
            while (name := f"{stem}_{number}") in taken:
                number += 1
            tensor.name = name.encode()
        kept.add(name)
        taken.add(name)


def _check(model: Model) -> None:
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
            raise UsageError(f"it is damaged: it names {what} {index} of {count}; {_DAMAGE}")


def _check_tensor(model: Model, tensor: Any) -> None:
    name, kind = tensor.name.decode(), type_name(tensor)
    dims = [int(dim) for dim in (() if tensor.shape is None else tensor.shape)]
    if any(dim < -1 for dim in dims) or kind not in _TYPES.values():
        raise UsageError(f"it is damaged: {name!r} has the shape {dims} of type {kind}; {_DAMAGE}")
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
            f"has {len(data.data)}; {_DAMAGE}"
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
            raise UsageError(f"the options of its {name} are outside the flatbuffer; {_DAMAGE}")
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
        raise UsageError(f"it is damaged: an input is a constant; {_DAMAGE}")
    for number, operator in enumerate(graph.operators):
        name = f"{operator_name(model, operator)} (operator {number})"
        for index in operator.inputs:
            if index >= 0 and index not in known and index not in empty:
                read = tensors[index].name.decode()
                raise UsageError(
                    f"it is damaged: {name} reads {read!r} before it is written; {_DAMAGE}"
                )
        for index in operator.outputs:
            if index in known:
                written = tensors[index].name.decode()
                raise UsageError(f"it is damaged: {name} writes {written!r} anew; {_DAMAGE}")
            known.add(index)
    for index in graph.outputs:
        if index not in known and index not in empty:
            raise UsageError(
                f"it is damaged: no operator writes the output {tensors[index].name.decode()!r}; "
                f"{_DAMAGE}"
            )


def _pack_buffer(buffer: Any, builder: Any) -> int:
    vector = None
    if buffer.data is not None:
        builder.StartVector(1, len(buffer.data), _ALIGNMENT_BYTES)
        builder.head -= len(buffer.data)
        builder.Bytes[builder.head : builder.head + len(buffer.data)] = memoryview(buffer.data)
        vector = builder.EndVector()
    schema.BufferStart(builder)
    if vector is not None:
        schema.BufferAddData(builder, vector)
    packed: int = schema.BufferEnd(builder)
    return packed
