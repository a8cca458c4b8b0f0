"""The test decoder of clause 5.2: a bitstream in, as it comes; tensors out, as they are whole."""

from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from splitbed.codecs.coder import Coder
from splitbed.codecs.stage import Array
from splitbed.errors import NodeError, UsageError
from splitbed.model_coders import coder_named
from splitbed.model_coders.bitstream import (
    HASH_BYTES,
    LENGTH,
    SKELETON_CODER,
    START,
    Header,
    bound,
    header_bytes,
    unpacked,
)
from splitbed.model_coders.blocks import blocks_of, refuse_nan
from splitbed.model_data.digest import Held, of_tensors, raw, tensor_hash
from splitbed.model_data.file import ModelFile
from splitbed.tensors import NUMPY_TYPES, TensorInfo

if TYPE_CHECKING:
    from splitbed.model_coders import ModelCoder

MOST_BYTES = 4 << 30
"""Of a model file, where a decoder is told nothing else."""


@dataclass(frozen=True)
class Part:
    """Values of a tensor, in order; ``last`` with none: the tensor is whole, and its hash right.

    ``tensor`` is its place among those of the header; -1 for the skeleton.
    """

    tensor: int
    values: Array
    last: bool = False


class Reader:
    """Takes a bitstream in pieces cut anywhere, and gives the values in it.

    No I/O, and no more memory than a block takes.  ``most_bytes`` is the largest model file there
    is room for; ``base`` the digest of the state that is here, if any; ``held`` tensors that are,
    and need not come.
    """

    def __init__(
        self, *, most_bytes: int = MOST_BYTES, base: str = "", held: Held | None = None
    ) -> None:
        self.header: Header | None = None
        self.done = False
        self._most_bytes, self._base, self._held = most_bytes, base, held or {}
        self._buffer = bytearray()
        self._parts: list[Part] = []
        self._hashes: list[tuple[str, bytes]] = []
        self._reading = self._read()
        self._due = next(self._reading)

    @property
    def digest(self) -> str:
        """The name of the state that came, whole."""
        return of_tensors(self._hashes)

    def feed(self, data: bytes) -> Iterator[Part]:
        """What is known with ``data``, too; it is to be iterated to its end.

        Raises:
            NodeError: the stream is damaged or foreign, an update of another base, or of a model
                that there is no room for.  Nothing more can be fed then.
            MachineError: its coder's library is not here.
        """
        self._buffer += data
        while not self.done and len(self._buffer) >= self._due:
            with memoryview(self._buffer) as view:
                piece = bytes(view[: self._due])
            del self._buffer[: self._due]
            try:
                self._due = self._reading.send(piece)
            except StopIteration:
                self.done = True
            yield from self._parts
            self._parts.clear()
        if self.done and self._buffer:
            raise NodeError("there are bytes behind the end of the bitstream: it is damaged")

    def finish(self) -> None:
        """NodeError unless the bitstream was whole."""
        if self.done:
            return
        if self.header is None:
            raise NodeError("the bitstream ends within its header: get the rest of it")
        whole = len(self._hashes)
        raise NodeError(
            f"the bitstream ends with {whole} of its {len(self.header.tensors)} tensors whole:"
            " get the rest of it"
        )

    def _read(self) -> Generator[int, bytes, None]:
        """Yields how many bytes it needs next, and is sent them."""
        start = yield START.size
        header = unpacked((yield header_bytes(start)))
        self._check(header)
        self.header = header
        yield from self._record(-1, header.skeleton, coder_named(SKELETON_CODER))
        for place, info in enumerate(header.tensors):
            digest = header.held.get(place)
            if digest is None:
                digest = yield from self._record(place, info, header.coder)
            else:
                self._take(place, info, digest)
            self._hashes.append((info.name, digest))

    def _take(self, tensor: int, info: TensorInfo, digest: bytes) -> None:
        due, array = self._held.get(digest, (None, None))
        if array is None or due != info:
            raise NodeError(
                f"the bitstream leaves out {info.name}, which is not here: ask for all of it"
            )
        self._parts += [Part(tensor, array.reshape(-1)), _last(tensor, info)]

    def _record(
        self, tensor: int, info: TensorInfo, coder: "ModelCoder"
    ) -> Generator[int, bytes, bytes]:
        got = tensor_hash(info)
        for block in blocks_of(info):
            try:
                ours = bound(coder, block)
            except UsageError as error:
                raise NodeError(f"the bitstream is damaged: {error}") from error
            (nbytes,) = LENGTH.unpack((yield LENGTH.size))
            if nbytes > ours.most_bytes:
                raise NodeError(
                    f"a block of {info.name} announces {nbytes} bytes, and takes at most"
                    f" {ours.most_bytes}: the bitstream is damaged"
                )
            values = _decoded(ours, (yield nbytes))
            refuse_nan(info.name, values)
            got.update(raw(values))
            self._parts.append(Part(tensor, values.reshape(-1)))
        if (yield HASH_BYTES) != got.digest():
            raise NodeError(f"{info.name} is not what was encoded (sha256): get it again")
        self._parts.append(_last(tensor, info))
        return got.digest()

    def _check(self, header: Header) -> None:
        if header.layout.nbytes > self._most_bytes:
            raise NodeError(
                f"the bitstream is of a model of {header.layout.nbytes} bytes, and there is room"
                f" for {self._most_bytes} (what is free here, or a node's limits.model_bytes)"
            )
        if header.base and header.base != self._base:
            raise NodeError(
                f"the bitstream updates the state {header.base[:12]}, and here is"
                f" {self._base[:12] or 'none'}: get that one first"
            )


class Tensors:
    """Takes a bitstream in pieces cut anywhere, and gives each tensor when it is whole.

    It keeps none.  Raises as :class:`Reader` does.
    """

    def __init__(self, *, most_bytes: int = MOST_BYTES, base: str = "") -> None:
        self.skeleton = b""
        self._reader = Reader(most_bytes=most_bytes, base=base)
        self._now: Array | None = None
        self._filled = 0

    @property
    def header(self) -> Header | None:
        """What the stream says of itself; None until that is here."""
        return self._reader.header

    @property
    def digest(self) -> str:
        """The name of the state that came."""
        return self._reader.digest

    def feed(self, chunk: bytes) -> Iterator[tuple[str, Array]]:
        """The tensors that ``chunk`` makes whole, by name, in the order of the header.

        It is to be iterated to its end.
        """
        for part in self._reader.feed(chunk):
            assert self.header is not None
            info = self.header.tensors[part.tensor] if part.tensor >= 0 else self.header.skeleton
            array = self._filling(info)
            if not part.last:
                array.reshape(-1)[self._filled : self._filled + part.values.size] = part.values
                self._filled += part.values.size
                continue
            self._now = None
            if part.tensor < 0:
                self.skeleton = array.tobytes()
            else:
                yield info.name, array

    def finish(self) -> None:
        """NodeError unless the bitstream was whole."""
        self._reader.finish()

    def _filling(self, info: TensorInfo) -> Array:
        if self._now is None:
            self._now, self._filled = np.empty(info.shape, NUMPY_TYPES[info.datatype]), 0
        return self._now


class Decoder:
    """As :class:`Tensors`, and has the model in the end."""

    def __init__(self, *, most_bytes: int = MOST_BYTES, base: str = "") -> None:
        self._tensors = Tensors(most_bytes=most_bytes, base=base)
        self._state: dict[str, Array] = {}

    @property
    def header(self) -> Header | None:
        """What the stream says of itself; None until that is here."""
        return self._tensors.header

    @property
    def digest(self) -> str:
        """The name of the state that came."""
        return self._tensors.digest

    def feed(self, chunk: bytes) -> list[tuple[str, Array]]:
        """The tensors that ``chunk`` made whole, by name, in the order of the header."""
        whole = [*self._tensors.feed(chunk)]
        self._state.update(whole)
        return whole

    def finish(self) -> ModelFile:
        """The model; NodeError unless the bitstream was whole."""
        self._tensors.finish()
        assert self.header is not None
        return ModelFile(self.header.layout, self._tensors.skeleton, self._state)


def _last(tensor: int, info: TensorInfo) -> Part:
    return Part(tensor, np.empty(0, NUMPY_TYPES[info.datatype]), last=True)


def rebuilt(chunks: Iterable[bytes]) -> ModelFile:
    """The model file of a whole bitstream, here; raises as :class:`Decoder` does."""
    decoder = Decoder()
    for chunk in chunks:
        decoder.feed(chunk)
    return decoder.finish()


def _decoded(coder: Coder, data: bytes) -> Array:
    (info,) = coder.encoded
    itemsize = np.dtype(NUMPY_TYPES[info.datatype]).itemsize
    try:
        array = np.frombuffer(data, NUMPY_TYPES[info.datatype]).reshape(info.shape)
    except ValueError:
        raise NodeError(
            f"a block of {info.name} has {len(data)} bytes, which are no {info.datatype}"
            f" {list(info.shape)}, {itemsize} bytes each: the bitstream is damaged"
        ) from None
    return coder.decode({info.name: array})[info.name]
