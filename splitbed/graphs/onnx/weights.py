"""Weights: taken out of a model into one file, found again there, and embedded in a model.

A model's structure can then be cut, copied and saved in milliseconds, and ONNX Runtime maps the
one file into memory whatever the cut.  Shapes and scalars (under 1 KB) stay in the structure.
"""

import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import onnx
from google.protobuf.message import Message
from onnx import TensorProto, numpy_helper

from splitbed.errors import UsageError
from splitbed.graphs.formats import WEIGHTS_FILE

_VALUES = ("raw_data", "float_data", "int32_data", "int64_data", "double_data", "uint64_data")

Weights = Mapping[str, bytes]
"""Raw little-endian bytes of each weight."""

FILE = WEIGHTS_FILE
INLINE_BELOW_BYTES = 1024
ALIGNMENT_BYTES = 64  # a cache line, so that no kernel reads a mapped weight across one more
MODEL_LIMIT_BYTES = 2**31 - 1  # protobuf's
PACKED = {  # several elements to a byte; older releases of onnx lack some
    getattr(TensorProto, name, -1) for name in ("INT4", "UINT4", "FLOAT4E2M1", "INT2", "UINT2")
}


def take_out(model: onnx.ModelProto, folder: Path) -> Weights:
    """Replace each larger weight of ``model`` by a reference into ``weights.bin``; return them.

    External weights are read from ``folder``, the model's own.  Raises UsageError for a weight
    that is damaged, missing or outside ``folder``.
    """
    weights: dict[str, bytes] = {}
    offset = 0
    for tensor in model.graph.initializer:
        if tensor.data_location != TensorProto.EXTERNAL and (
            tensor.data_type == TensorProto.STRING or tensor.data_type in PACKED
        ):
            continue
        data = content(tensor, folder)
        name, data_type, dims = tensor.name, tensor.data_type, list(tensor.dims)
        tensor.Clear()
        tensor.name, tensor.data_type = name, data_type
        tensor.dims.extend(dims)
        if len(data) < INLINE_BELOW_BYTES or data_type in PACKED:
            tensor.raw_data = data
            continue
        _refer(tensor, offset, len(data))
        weights[name] = data
        offset = _aligned(offset + len(data))
    return weights


def content(tensor: TensorProto, folder: Path) -> bytes:
    """The raw bytes of a weight, wherever it is kept; raises as :func:`take_out`."""
    external = tensor.data_location == TensorProto.EXTERNAL
    return _read_external(tensor, folder) if external else _read_inline(tensor)


def write(weights: Weights, path: Path) -> None:
    """Write ``weights.bin``."""
    with path.open("wb") as file:
        for data in weights.values():
            file.write(bytes(_aligned(file.tell()) - file.tell()))
            file.write(data)


def check(model: onnx.ModelProto, path: Path) -> None:
    """Raise UsageError unless each reference of ``model`` lies in the file ``path``, whole.

    Structure and weights may come from the network: nothing but this one file may be named.
    """
    file_bytes = path.stat().st_size if path.is_file() else 0
    refuse_external(model)
    for tensor in model.graph.initializer:
        if tensor.data_location == TensorProto.EXTERNAL:
            location, offset, length = _reference(tensor)
            if location != path.name:
                raise UsageError(
                    f"weight {tensor.name!r} refers to {location!r}: in a stored model only "
                    f"{path.name} may be named"
                )
            _check_extent(tensor, offset, length, file_bytes, path)


def check_sizes(model: onnx.ModelProto) -> None:
    """Raise UsageError unless each constant in ``model`` has as many bytes as its shape needs.

    Those without values were left out (:mod:`splitbed.graphs.onnx.outline`), or are refused by
    whoever opens the file.
    """
    for tensor in _tensors(model):
        if tensor.data_type != TensorProto.STRING and any(getattr(tensor, f) for f in _VALUES):
            _read_inline(tensor)


def is_whole(tensor: TensorProto) -> bool:
    """Whether all values that its shape needs are in ``tensor`` itself."""
    try:
        return tensor.data_type == TensorProto.STRING or _read_inline(tensor) is not None
    except UsageError:
        return False


def embed(model: onnx.ModelProto, path: Path) -> None:
    """Put the weights that ``model`` refers to, in the file ``path``, into ``model``."""
    for tensor in model.graph.initializer:
        if tensor.data_location == TensorProto.EXTERNAL:
            _, offset, length = _reference(tensor)
            tensor.ClearField("external_data")
            tensor.ClearField("data_location")
            with path.open("rb") as file:
                file.seek(offset)
                tensor.raw_data = file.read(length or 0)


def embedded_bytes(model: onnx.ModelProto) -> int:
    """Size of ``model`` as a file with its weights embedded; reads none of them."""
    bare = onnx.GraphProto()
    bare.CopyFrom(model.graph)
    del bare.initializer[:]
    graph_bytes = bare.ByteSize()
    for tensor in model.graph.initializer:
        nbytes = tensor.ByteSize()
        if tensor.data_location == TensorProto.EXTERNAL:
            head = TensorProto(name=tensor.name, data_type=tensor.data_type, dims=tensor.dims)
            nbytes = head.ByteSize() + _field_bytes(_reference(tensor)[2] or 0)
        graph_bytes += _field_bytes(nbytes)
    rest = onnx.ModelProto()
    rest.CopyFrom(model)
    rest.ClearField("graph")
    return rest.ByteSize() + _field_bytes(graph_bytes)


def as_inputs(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of ``model`` with referenced weights as inputs: what checks and inference can take."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    del copy.graph.initializer[:]
    for tensor in model.graph.initializer:
        if tensor.data_location == TensorProto.EXTERNAL:
            info = onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
            copy.graph.input.append(info)
        else:
            copy.graph.initializer.append(tensor)
    return copy


def refuse_external(model: onnx.ModelProto) -> None:
    """Raise UsageError where something else than a weight of the graph is kept in a file."""
    kept = [
        *model.graph.node,
        *model.functions,
        *model.training_info,
        *model.graph.sparse_initializer,
    ]
    for message in kept:
        for tensor in _tensors(message):
            if tensor.data_location == TensorProto.EXTERNAL:
                raise UsageError(
                    f"constant {tensor.name!r} inside {getattr(message, 'name', '')!r} is kept in "
                    "a file of its own: only weights of the graph may be"
                )


def _tensors(message: Message) -> Iterator[TensorProto]:
    if isinstance(message, TensorProto):
        yield message
        return
    for field, value in message.ListFields():
        if field.message_type is not None:
            for child in value if not isinstance(value, Message) else [value]:
                yield from _tensors(child)


def _read_inline(tensor: TensorProto) -> bytes:
    try:
        raw = tensor.raw_data if tensor.HasField("raw_data") else _raw(tensor)
    except (ArithmeticError, KeyError, ValueError, TypeError) as error:
        raise UsageError(f"weight {tensor.name!r} is not valid: {error}") from error
    expected = _expected_bytes(tensor)
    if len(raw) != expected:
        raise UsageError(
            f"weight {tensor.name!r} is not valid: its shape {list(tensor.dims)} needs {expected} "
            f"bytes, the file holds {len(raw)}"
        )
    return raw


def _raw(tensor: TensorProto) -> bytes:
    return bytes(numpy_helper.from_array(numpy_helper.to_array(tensor)).raw_data)


def _read_external(tensor: TensorProto, folder: Path) -> bytes:
    location, offset, length = _reference(tensor)
    path = Path(os.path.realpath(folder / location))
    if not location or not path.is_relative_to(os.path.realpath(folder)):
        raise UsageError(
            f"weight {tensor.name!r} refers to {location!r}, outside the model's folder: put the "
            "file beside the model and save the model again"
        )
    if not path.is_file():
        raise UsageError(f"weight {tensor.name!r} is kept in {path}, which is missing")
    length = _check_extent(tensor, offset, length, path.stat().st_size, path)
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(length)


def _reference(tensor: TensorProto) -> tuple[str, int, int | None]:
    entries = {entry.key: entry.value for entry in tensor.external_data}
    try:
        length = int(entries["length"]) if "length" in entries else None
        return entries.get("location", ""), int(entries.get("offset", 0)), length
    except ValueError as error:
        raise UsageError(f"weight {tensor.name!r} has a damaged reference: {entries}") from error


def _check_extent(
    tensor: TensorProto, offset: int, length: int | None, file_bytes: int, path: Path
) -> int:
    expected = _expected_bytes(tensor)
    if length not in (None, expected) or offset < 0 or offset + expected > file_bytes:
        raise UsageError(
            f"weight {tensor.name!r} needs {expected} bytes; its reference is to {length} bytes at "
            f"{offset} of {path}, which has {file_bytes}: is the file whole?"
        )
    return expected


def _expected_bytes(tensor: TensorProto) -> int:
    if any(dim < 0 for dim in tensor.dims):
        raise UsageError(f"weight {tensor.name!r} has a negative dimension: {list(tensor.dims)}")
    try:
        itemsize = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
    except KeyError as error:
        raise UsageError(f"weight {tensor.name!r} has no known datatype") from error
    elements = math.prod(tensor.dims)
    if tensor.data_type in PACKED:
        bits = 2 if "INT2" in TensorProto.DataType.Name(tensor.data_type) else 4
        return -(-elements * bits // 8)
    return elements * itemsize


def _refer(tensor: TensorProto, offset: int, length: int) -> None:
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", FILE), ("offset", offset), ("length", length)):
        tensor.external_data.add(key=key, value=str(value))


def _aligned(offset: int) -> int:
    return -(-offset // ALIGNMENT_BYTES) * ALIGNMENT_BYTES


def _field_bytes(nbytes: int) -> int:
    """Bytes of a length-delimited field of ``nbytes``: tag (field < 16), varint length, content."""
    return 1 + max(1, -(-nbytes.bit_length() // 7)) + nbytes
