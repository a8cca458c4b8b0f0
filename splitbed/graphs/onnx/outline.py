"""What an ONNX file says of a model, without the values of its weights, which are most of it.

    model { … graph { node … initializer { name, dims, raw_data } … } }
                                                       ╰─ passed over

The file is walked as protobuf encodes it (its encoding guide, "Message Structure"): what is left
parses to the model that the whole file is, but for the values of the graph's larger initialisers.
"""

import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from splitbed.graphs.onnx.weights import INLINE_BELOW_BYTES
from splitbed.media.files import opened

_TO_WEIGHTS = (7, 5)
"""Numbers of fields in onnx.proto: ModelProto.graph, GraphProto.initializer."""
_RAW_DATA = 9
"""Of TensorProto."""
_VALUES = {4, 5, 7, 9, 10, 11}
"""Of TensorProto: float_data, int32_data, int64_data, raw_data, double_data, uint64_data."""
_LENGTH = 2
"""Kind of a field that says how long it is."""
_MOST_FIELDS = 200_000
"""More are read as a whole by who reads faster."""


class _Field(NamedTuple):
    number: int
    kind: int
    begin: int
    content: int
    end: int


def outline(path: Path) -> bytes:
    """The file ``path`` without the values of its larger weights; all of one that is no such file.

    Raises OSError.
    """
    with opened(path) as file:
        try:
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return _Walk(data).without(0, len(data), _TO_WEIGHTS)
        except ValueError:  # empty, damaged, or nothing that a protobuf library writes
            file.seek(0)
            return file.read()


def raw_data(path: Path) -> list[list[tuple[int, int]]]:
    """Where the raw data of each initialiser are in the file ``path``: from, to.

    Raises ValueError for what is no such file, and OSError.
    """
    with opened(path) as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return [*_Walk(data).raw_data(0, len(data), _TO_WEIGHTS)]


class _Walk:
    """Goes through the fields of a message; ValueError for what it does not know."""

    def __init__(self, data: mmap.mmap) -> None:
        self._data = data
        self._fields = 0

    def without(self, place: int, end: int, way: tuple[int, ...]) -> bytes:
        """The message there without values; ``way`` are the fields that lead to the weights."""
        kept: list[bytes] = []
        for field in self._walked(place, end):
            if way and field.number == way[0] and field.kind == _LENGTH:
                inner = self.without(field.content, field.end, way[1:])
                kept += [_varint(field.number << 3 | _LENGTH), _varint(len(inner)), inner]
            elif way or not _is_large(field):
                kept.append(self._data[field.begin : field.end])
        return b"".join(kept)

    def raw_data(
        self, place: int, end: int, way: tuple[int, ...]
    ) -> Iterator[list[tuple[int, int]]]:
        """Where those of each weight of the message there are; ``way`` as above."""
        if not way:
            found = (one for one in self._walked(place, end) if one.number == _RAW_DATA)
            yield [(one.content, one.end) for one in found if one.kind == _LENGTH]
            return
        for field in self._walked(place, end):
            if field.number == way[0] and field.kind == _LENGTH:
                yield from self.raw_data(field.content, field.end, way[1:])

    def _walked(self, place: int, end: int) -> Iterator[_Field]:
        while place < end:
            begin = place
            key, place = self._number(place)
            match kind := key & 7:
                case 0:
                    _, stop = self._number(place)
                case 1:
                    stop = place + 8
                case 2:
                    length, place = self._number(place)
                    stop = place + length
                case 5:
                    stop = place + 4
                case _:  # groups, which onnx.proto has none of
                    raise ValueError(f"a field of kind {kind}")
            self._fields += 1
            if key >> 32 or stop > end or self._fields > _MOST_FIELDS:
                raise ValueError(f"no field of its message is at {begin}")
            yield _Field(key >> 3, kind, begin, place, stop)
            place = stop

    def _number(self, place: int) -> tuple[int, int]:
        """The varint there, and where it ends."""
        value = shift = 0
        while place < len(self._data):
            byte = self._data[place]
            place += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value, place
            shift += 7
            if shift > 63:
                break
        raise ValueError(f"no number ends at {place}")


def _is_large(field: _Field) -> bool:
    size = field.end - field.content
    return field.kind == _LENGTH and field.number in _VALUES and size >= INLINE_BELOW_BYTES


def _varint(value: int) -> bytes:
    digits = bytearray()
    while value >= 0x80:
        digits.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*digits, value])
