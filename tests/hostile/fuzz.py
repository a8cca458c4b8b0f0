"""What may come instead of a message: any that the contract lets be, and those that it does not."""

import math
from collections.abc import Callable, Sequence
from functools import cache
from random import Random
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass
from hypothesis import strategies as st

_FLOATS = (0.0, -1.0, 1e-300, 1.0, 1e9, 1e300, math.inf, -math.inf, math.nan)
_UNSIGNED = (0, 1, 2, 3, 255, 1 << 16, 1 << 28, (1 << 31) - 1, (1 << 32) - 1)
_LONG = (*_UNSIGNED, 1 << 32, 1 << 33, 1 << 40, (1 << 63) - 1)
_SIGNED = (*_LONG, -1, -2, -(1 << 31), -(1 << 63))
_WORDS = (
    "", "onnx", "tflite", "onnxruntime", "tensors", "detections", "raw", "int8+zstd", "zstd",
    "avc:18", "jpeg:95", "int4", "nnc", "edge", "ue", "uplink", "FP32", "BOOL", "INT64", "BYTES",
    "NCHW", "image", "b", "../../etc/passwd", "\0", "\x1b[2J", "%s%n{}", "x" * 5000,
)  # fmt: skip
_MOST_REPEATED, _DEEPEST = 3, 4

Kind = FieldDescriptor
EDGES: dict[int, Sequence[Any]] = {
    Kind.CPPTYPE_BOOL: (False, True),
    Kind.CPPTYPE_DOUBLE: _FLOATS,
    Kind.CPPTYPE_FLOAT: _FLOATS,
    Kind.CPPTYPE_INT32: (0, 1, -1, (1 << 31) - 1, -(1 << 31)),
    Kind.CPPTYPE_INT64: _SIGNED,
    Kind.CPPTYPE_UINT32: _UNSIGNED,
    Kind.CPPTYPE_UINT64: (*_LONG, (1 << 64) - 1),
}
"""Values at the ends of what a field of each kind holds, and beyond what is meant."""


def edges_of(field: Any) -> Sequence[Any]:
    """Values to try in a field that is no message."""
    if field.type == Kind.TYPE_BYTES:
        return (b"", b"\0", bytes(1000), b"\xff" * 16, b"TFL3" * 4)
    return _WORDS if field.type == Kind.TYPE_STRING else EDGES[field.cpp_type]


@cache
def any_message(kind: Descriptor, depth: int = 0) -> st.SearchStrategy[Message]:
    """Messages of a kind with any of its fields, at and beyond the ends of what these hold."""

    @st.composite
    def made(draw: Callable[[st.SearchStrategy[Any]], Any]) -> Message:
        message = GetMessageClass(kind)()
        for field in kind.fields:
            if depth >= _DEEPEST or not draw(st.booleans()):
                continue
            one = _values(field, depth + 1)
            if field.is_repeated:
                _put(message, field, draw(st.lists(one, max_size=_MOST_REPEATED)))
            else:
                _put(message, field, draw(one))
        return message

    return made()


def _values(field: Any, depth: int) -> st.SearchStrategy[Any]:
    if field.message_type is not None:
        return any_message(field.message_type, depth)
    at_ends = st.sampled_from(edges_of(field))
    if field.type == Kind.TYPE_BYTES:
        return at_ends | st.binary(max_size=100)
    return at_ends | st.text(max_size=8) if field.type == Kind.TYPE_STRING else at_ends


def _is_map(field: Any) -> bool:
    return field.message_type is not None and bool(field.message_type.GetOptions().map_entry)


def _put(message: Message, field: Any, value: Any) -> None:
    if _is_map(field):
        of_messages = field.message_type.fields_by_name["value"].message_type is not None
        into = getattr(message, field.name)
        for entry in value:
            if of_messages:
                into[entry.key].CopyFrom(entry.value)
            else:
                into[entry.key] = entry.value
    elif field.is_repeated:
        getattr(message, field.name).extend(value)
    elif field.message_type is not None:
        getattr(message, field.name).CopyFrom(value)
    else:
        setattr(message, field.name, value)


def changed(kind: Descriptor, data: bytes, rng: Random) -> bytes:
    """A message with one of its fields, however deep, at an end of what it holds.

    Bytes that are no such message are :func:`damaged` instead.
    """
    message = GetMessageClass(kind)()
    try:
        message.ParseFromString(data)
    except DecodeError:
        return damaged(data, rng)
    at: Message = message
    while inner := [
        field
        for field, _ in at.ListFields()
        if field.message_type is not None and not _is_map(field)
    ]:
        if rng.random() < 0.3:
            break
        chosen = rng.choice(inner)
        value = getattr(at, chosen.name)
        at = rng.choice(value) if chosen.is_repeated else value
    if plain := [field for field in at.DESCRIPTOR.fields if field.message_type is None]:
        field = rng.choice(plain)
        value = rng.choice(edges_of(field))
        at.ClearField(field.name)
        _put(at, field, [value] * rng.randint(0, _MOST_REPEATED) if field.is_repeated else value)
    return message.SerializeToString()


def damaged(data: bytes, rng: Random, other: bytes = b"") -> bytes:
    """Bytes that became others on their way: flipped, cut, doubled, or ended as ``other`` does."""
    damaged = bytearray(data)
    place = rng.randrange(len(damaged) + 1)
    match rng.randrange(5):
        case 0:
            for _ in range(rng.randint(1, 8)):
                if damaged:
                    damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
        case 1:
            del damaged[place:]
        case 2:
            damaged[place:place] = damaged[place : place + rng.randint(1, 64)]
        case 3:
            damaged[place:place] = rng.randbytes(rng.randint(1, 16))
        case _:
            damaged[place:] = other[rng.randrange(len(other) + 1) :]
    return bytes(damaged)
