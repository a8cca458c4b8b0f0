"""Reads a TFLite file into the schema's objects, once it is checked, and writes one."""

import struct
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from splitbed.errors import UsageError
from splitbed.graphs.tflite.checks import DAMAGE, check
from splitbed.graphs.tflite.tables import Model, changed
from splitbed.media.files import opened

_MARK = b"TFL3"
_ALIGNMENT_BYTES = 16  # the schema's `force_align`, which flatbuffers' Python leaves out
_MOST_ENTRIES = 100_000  # of a list: a damaged length would keep us busy for minutes


def parse(path: Path) -> Model:
    """The content of the file ``path``.

    Raises UsageError for a file that is missing, not TFLite or damaged, and for one with several
    subgraphs (control flow), state, text, or weights outside the flatbuffer.
    """
    try:
        with opened(path) as file:
            data = file.read()
    except OSError as error:
        raise UsageError(f"cannot read the model {path}: {error.strerror}") from error
    if data[4:8] != _MARK:
        raise UsageError(f"{path} is not a TFLite file: it lacks the mark {_MARK.decode()}")
    try:
        model = _unpacked(data)
    except (struct.error, LookupError, ValueError, TypeError, AttributeError) as error:
        raise UsageError(f"{path} is damaged, or not a whole file: {error}; {DAMAGE}") from error
    try:
        check(model)
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


def _name(graph: Any) -> None:
    """Make the names of the tensors unique; inputs and outputs are the first to keep theirs."""
    taken = {(tensor.name or b"").decode() for tensor in graph.tensors}
    kept = {""}
    every = range(len(graph.tensors))
    for index in dict.fromkeys([*graph.inputs, *graph.outputs, *every]):
        if index not in every:  # for the checks to say
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
