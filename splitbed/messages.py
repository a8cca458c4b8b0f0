"""Tensors <-> messages of raw bytes, which gRPC hands on as they are.

    the first     length of the header, header, zeros up to a multiple of 16, payload
    the others    payload alone

The payload is the tensors' bytes one after another, little-endian, C order; how many follows from
datatypes and shapes, which are checked against what the receiver expects before memory is taken.
Tensors that are sent while they are encoded come in pieces, each with its length before it.
"""

import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import repeat

import numpy as np
import numpy.typing as npt
from google.protobuf.message import DecodeError

from splitbed.codecs.coder import Piece
from splitbed.errors import NodeError
from splitbed.tensors import MAX_TENSORS_BYTES, NUMPY_TYPES, TensorInfo, Tensors
from splitbed.v1.tensors_pb2 import FrameHeader, Header, Packet, Padding
from splitbed.wire import (
    MAX_TENSORS,
    believed,
    check_bytes,
    describe,
    tensor_headers,
)

_LENGTH = struct.Struct("<I")
_ALIGNMENT = 16
"""Of the payload in its message, as that of bytes objects in memory: tensors are used in place."""

MESSAGE_BYTES = 2 << 20
"""The most payload of a message."""

_FIRST_BYTES, _NEXT_BYTES = 32 << 10, 128 << 10
_LAST_MS = 0.4


def sizes(nbytes: int, rate_mbit: float | None = None) -> Iterator[int]:
    """How much of a payload of `nbytes` each message has, on a link of such a rate.

    A message costs some 0.1 ms, and its bytes are copied before they are on the wire and again
    once all of them have come, packet by packet: 0.3 ms for 100 KB. So without a link (infinity)
    they are as large as can be; on one the first is small, to have it busy early, and the last is
    what it carries in _LAST_MS, in which the one before is dealt with. A rate that is not known is
    taken for 100 Mbit/s.
    """
    last = int(min((rate_mbit or 100.0) * 125 * _LAST_MS, MESSAGE_BYTES))
    rest = nbytes
    if nbytes > max(_FIRST_BYTES, min(2 * last, MESSAGE_BYTES)):
        most, size = (_NEXT_BYTES, _FIRST_BYTES) if last < _NEXT_BYTES else (last, last)
        while rest > last:
            yield (size := min(size, rest - last))
            rest, size = rest - size, most
    yield rest


def messages(
    header: Header, tensors: Tensors | None = None, rate_mbit: float | None = None
) -> Iterator[bytes]:
    """The messages that carry `header`, of a frame with `tensors`; they are described in it.

    Bytes are copied as each message is taken, not before.
    """
    arrays = [np.ascontiguousarray(array) for array in (tensors or {}).values()]
    if tensors:
        header.frame.tensors.extend(tensor_headers(describe(tensors)))
    total = sum(array.nbytes for array in arrays)
    return _messages(_begin(header), map(_bytes_of, arrays), sizes(total, rate_mbit))


def messages_of_pieces(
    header: Header,
    infos: Sequence[TensorInfo],
    pieces: Iterable[Piece],
    rate_mbit: float | None = None,
) -> Iterator[bytes]:
    """The messages that carry `header`, of a frame with the tensors `infos`, as these are encoded.

    The next piece is asked for once the message before has been taken; small ones are put together.
    """
    header.frame.tensors.extend(tensor_headers(infos))
    begin, held, nbytes = _begin(header), list[memoryview](), 0
    for piece in pieces:
        data = _bytes_of(piece.data)
        if piece.info.is_stream:
            held.append(memoryview(_LENGTH.pack(2 * len(data) + piece.last)))
        held.append(data)
        if (nbytes := sum(map(len, held))) >= _FIRST_BYTES:
            yield from _messages(begin, iter(held), sizes(nbytes, rate_mbit))
            begin, held, nbytes = [], [], 0
    if begin or nbytes:
        yield from _messages(begin, iter(held), sizes(nbytes, rate_mbit))


def padding(nbytes: int, back: int = 0) -> Iterator[bytes]:
    """The messages of so many bytes that mean nothing, to be answered by so many."""
    nothing = memoryview(bytes(min(nbytes, _NEXT_BYTES)))
    begin = _begin(Header(padding=Padding(bytes=nbytes, back=back)))
    return _messages(begin, repeat(nothing), sizes(nbytes))


def _begin(header: Header) -> list[bytes]:
    """How the first message begins, ahead of its payload."""
    head = header.SerializeToString()
    begin = _LENGTH.pack(len(head)) + head
    return [begin, bytes(-len(begin) % _ALIGNMENT)]


def _messages(
    begin: Sequence[bytes], payload: Iterator[memoryview], sizes: Iterator[int]
) -> Iterator[bytes]:
    parts: list[bytes | memoryview] = [*begin]
    rest = memoryview(b"")
    for size in sizes:
        missing = size
        while missing:
            rest = rest or next(payload)
            parts.append(rest[:missing])
            rest = rest[missing:]
            missing -= len(parts[-1])
        yield b"".join(parts)
        parts.clear()


class Received:
    """What a peer sends: its header, and the payload, which is taken when it is asked for.

    ``others`` are the messages after the first one; ``taken`` is called once those that belong to
    it are. Raises NodeError for a first message that cannot be read.
    """

    def __init__(
        self, first: bytes, others: Iterator[bytes], taken: Callable[[], None] = lambda: None
    ) -> None:
        self._others = others
        self._taken = taken
        length = _LENGTH.unpack_from(first)[0] if len(first) >= _LENGTH.size else len(first)
        end = _LENGTH.size + length
        begin = end + -end % _ALIGNMENT
        if begin > len(first):
            raise NodeError(f"refused a message of {len(first)} bytes: its header is cut off")
        try:
            self.header = Header.FromString(first[_LENGTH.size : end])
        except DecodeError:
            raise NodeError(f"refused a message of {len(first)} bytes: it has no header") from None
        self._payload = memoryview(first)[begin:]

    def tensors(
        self,
        expected: Sequence[TensorInfo] | None = None,
        most_bytes: int = MAX_TENSORS_BYTES,
    ) -> Tensors:
        """The frame's tensors; those that came with the header in place, and read-only.

        Raises NodeError for others than are expected, before memory is taken, for more than
        `most_bytes`, and for less or more payload than they have.
        """
        infos = believed(self.header.frame.tensors, expected, most_bytes, in_pieces=True)
        if any(info.is_stream for info in infos):
            arrays = [*self._in_pieces(infos, most_bytes)]
        elif len(self._payload) == sum(info.nbytes for info in infos):
            arrays = [_in_place(self._take(info.nbytes), info) for info in infos]
        else:
            arrays = [self._whole(info) for info in infos]
        self._check_all_taken()
        return {info.name: array for info, array in zip(infos, arrays, strict=True)}

    def skip_padding(self) -> None:
        """Take the padding; NodeError for more or less of it than the header says."""
        if (rest := self.header.padding.bytes) > MAX_TENSORS_BYTES:
            raise NodeError(f"refused {rest} bytes of padding: the limit is {MAX_TENSORS_BYTES}")
        while rest:
            rest -= len(self._take(rest))
        self._check_all_taken()

    def _whole(self, info: TensorInfo) -> npt.NDArray[np.generic]:
        array = np.empty(info.shape, NUMPY_TYPES[info.datatype])
        self._fill(_bytes_of(array))
        return array

    def _in_pieces(
        self, infos: Sequence[TensorInfo], most_bytes: int
    ) -> Iterator[npt.NDArray[np.generic]]:
        """Each tensor in its order; what is in pieces takes the memory that has come."""
        known = sum(info.nbytes for info in infos if not info.is_stream)
        for info in infos:
            if not info.is_stream:
                yield self._whole(info)
                continue
            data, last = bytearray(), 0
            while not last:
                self._fill(memoryview(length := bytearray(_LENGTH.size)))
                size, last = divmod(_LENGTH.unpack(length)[0], 2)
                if not (size or last):
                    raise NodeError(
                        f"refused an empty piece of the tensor {info.name}, not its last"
                    )
                check_bytes(known := known + size, most_bytes)
                while size:
                    data += (taken := self._take(size))
                    size -= len(taken)
            yield np.frombuffer(data, np.uint8)

    def _fill(self, view: memoryview) -> None:
        while view:
            taken = self._take(len(view))
            view[: len(taken)] = taken
            view = view[len(taken) :]

    def _take(self, most: int) -> memoryview:
        """As much payload as there is, up to so many bytes; none only where none is asked for."""
        if most and not self._payload:
            message = next(self._others, None)
            if not message:
                what = "the stream ended" if message is None else "an empty message came"
                raise NodeError(f"{what} before the tensors did")
            self._payload = memoryview(message)
        taken, self._payload = self._payload[:most], self._payload[most:]
        return taken

    def _check_all_taken(self) -> None:
        if self._payload:
            names = [tensor.name for tensor in self.header.frame.tensors[:MAX_TENSORS]]
            whose = f"the tensors {', '.join(names)}" if names else "the header"
            raise NodeError(f"refused {len(self._payload)} bytes beyond those of {whose}")
        self._taken()


def packed(input_: int, tensors: Tensors) -> Iterator[Packet]:
    """Tensors of an input, as a control plane carries them."""
    for message in messages(Header(frame=FrameHeader(input=input_)), tensors):
        yield Packet(data=message)


def receive(stream: Iterator[bytes]) -> Received:
    """What begins with the next message; NodeError where there is none, or it cannot be read."""
    if (first := next(stream, None)) is None:
        raise NodeError("the stream ended before a header came")
    return Received(first, stream)


def _in_place(data: memoryview, info: TensorInfo) -> npt.NDArray[np.generic]:
    array = np.asarray(data).view(NUMPY_TYPES[info.datatype]).reshape(info.shape)
    return array if array.flags.aligned else array.copy()


def _bytes_of(array: npt.NDArray[np.generic]) -> memoryview:
    # reshape first: an array without dimensions cannot be viewed as bytes
    return array.reshape(-1).view(np.uint8).data
