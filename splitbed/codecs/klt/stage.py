"""The stage of one tensor: each frame by itself, or by what the frame before leaves of it.

A frame that is too far from those of calibration, or would take more bytes so, crosses as it is:
its data are no whole number of words, which those of levels are.
"""

import zlib

import numpy as np

from splitbed.codecs.klt.coding import WORD_BYTES
from splitbed.codecs.klt.inter import Before
from splitbed.codecs.klt.tables import Tables
from splitbed.codecs.klt.threads import one_thread
from splitbed.codecs.klt.transform import Work
from splitbed.codecs.stage import Array
from splitbed.errors import NodeError
from splitbed.tensors import NUMPY_TYPES, TensorInfo

HEAD_BYTES = 2
CHAINED = (1 << 15) - 1
"""Bits of a frame's head that tell what was before it; the other is how it is coded."""


class Intra:
    """Codes each frame by itself."""

    def __init__(self, tables: Tables) -> None:
        self._transform, self._coder = tables.transform, tables.coder(0)
        self._work = Work(tables.transform)
        self._plain = _Plain(tables.transform.layout.info)
        self.encoded = TensorInfo(tables.transform.layout.info.name, "UINT8", (-1,))
        self.most_bytes = self._plain.size
        self.kept_bytes = tables.nbytes

    @one_thread
    def encode(self, array: Array) -> Array:
        levels = self._transform.coefficients(array, self._work)
        data = None if levels is None else self._coder.encode(np.rint(levels, out=levels))
        return np.frombuffer(self._plain.shorter(data, array), np.uint8)

    @one_thread
    def decode(self, array: Array) -> Array:
        data = array.tobytes()
        if self._plain.is_so(data):
            return self._plain.array(data)
        levels = self._coder.decode(data, self._work.found)
        return self._transform.tensor(levels, self._work)


class Inter:
    """Codes what the frame before leaves of a frame, where that is less.

    A frame begins with 15 bits of the CRC-32 of all before it: one that was lost, damaged or came
    twice is told, where it would have made wrong values without a word.
    """

    def __init__(self, tables: Tables) -> None:
        assert tables.factors is not None
        self._transform, self._work = tables.transform, Work(tables.transform)
        self._coders = [tables.coder(book) for book in range(len(tables.codebooks))]
        self._plain = _Plain(tables.transform.layout.info)
        self._sent, self._got = (Before(tables.transform, tables.factors) for _ in range(2))
        self._sent_crc = self._got_crc = 0
        self.encoded = TensorInfo(tables.transform.layout.info.name, "UINT8", (-1,))
        self.most_bytes = HEAD_BYTES + self._plain.size
        self.kept_bytes = tables.nbytes

    @one_thread
    def encode(self, array: Array) -> Array:
        coefficients = self._transform.coefficients(array, self._work)
        how, data = 0, None
        if coefficients is not None:
            active = self._sent.active
            how, levels = self._sent.levels(coefficients)
            data = self._coders[how].encode(levels, active)
        data = self._plain.shorter(data, array)
        if self._plain.is_so(data):
            self._sent.forget()
        data = ((how << 15) | (self._sent_crc & CHAINED)).to_bytes(HEAD_BYTES, "little") + data
        self._sent_crc = zlib.crc32(data, self._sent_crc)
        return np.frombuffer(data, np.uint8)

    @one_thread
    def decode(self, array: Array) -> Array:
        data = array.tobytes()
        head, rest = int.from_bytes(data[:HEAD_BYTES], "little"), data[HEAD_BYTES:]
        if len(data) < HEAD_BYTES or head & CHAINED != self._got_crc & CHAINED:
            raise NodeError("a frame before this one was lost, damaged, or came twice")
        if self._plain.is_so(rest):
            found = self._plain.array(rest)
            self._got.forget()
        else:
            how = head >> 15
            self._got.check(how)
            into = np.empty(self._transform.shape, np.float32)
            levels = self._coders[how].decode(rest, into, self._got.active)
            found = self._transform.tensor(self._got.coefficients(how, levels), self._work)
        self._got_crc = zlib.crc32(data, self._got_crc)
        return found


class _Plain:
    """A tensor as it is, filled up to a byte more than whole words."""

    def __init__(self, info: TensorInfo) -> None:
        self._info = info
        self.size = -(-info.nbytes // WORD_BYTES) * WORD_BYTES + 1

    def shorter(self, data: bytes | None, array: Array) -> bytes:
        """The data, or the array as it is where there are none, or more."""
        if data is not None and len(data) < self.size:
            return data
        return array.tobytes().ljust(self.size, b"\0")

    def is_so(self, data: bytes) -> bool:
        """Whether the data are a tensor as it is."""
        return len(data) == self.size

    def array(self, data: bytes) -> Array:
        """The tensor."""
        values = np.frombuffer(data[: self._info.nbytes], NUMPY_TYPES[self._info.datatype])
        return values.reshape(self._info.shape)
