"""The stage of one tensor: each frame by itself, or by what the frame before leaves of it."""

import zlib

import numpy as np

from splitbed.codecs.klt.inter import Before
from splitbed.codecs.klt.tables import Tables
from splitbed.codecs.stage import Array
from splitbed.errors import NodeError
from splitbed.tensors import TensorInfo

HEAD_BYTES = 2
CHAINED = (1 << 15) - 1
"""Bits of a frame's head that tell what was before it; the other is how it is coded."""


class Intra:
    """Codes each frame by itself."""

    def __init__(self, tables: Tables) -> None:
        self._transform, self._coder = tables.transform, tables.coder(0)
        self.encoded = TensorInfo(tables.transform.layout.info.name, "UINT8", (-1,))
        self.most_bytes = self._coder.most_bytes
        self.kept_bytes = tables.nbytes

    def encode(self, array: Array) -> Array:
        levels = self._transform.coefficients(array)
        return np.frombuffer(self._coder.encode(np.rint(levels, out=levels)), np.uint8)

    def decode(self, array: Array) -> Array:
        levels = self._coder.decode(array.tobytes())
        return self._transform.tensor(levels.reshape(self._transform.shape))


class Inter:
    """Codes what the frame before leaves of a frame, where that is less.

    A frame begins with 15 bits of the CRC-32 of all before it: one that was lost, damaged or came
    twice is told, where it would have made wrong values without a word.
    """

    def __init__(self, tables: Tables) -> None:
        assert tables.factors is not None
        self._transform = tables.transform
        self._coders = [tables.coder(book) for book in range(len(tables.codebooks))]
        self._sent, self._got = (Before(tables.transform, tables.factors) for _ in range(2))
        self._sent_crc = self._got_crc = 0
        self.encoded = TensorInfo(tables.transform.layout.info.name, "UINT8", (-1,))
        self.most_bytes = HEAD_BYTES + max(coder.most_bytes for coder in self._coders)
        self.kept_bytes = tables.nbytes

    def encode(self, array: Array) -> Array:
        how, levels = self._sent.levels(self._transform.coefficients(array))
        head = (how << 15) | (self._sent_crc & CHAINED)
        data = head.to_bytes(HEAD_BYTES, "little") + self._coders[how].encode(levels)
        self._sent_crc = zlib.crc32(data, self._sent_crc)
        return np.frombuffer(data, np.uint8)

    def decode(self, array: Array) -> Array:
        data = array.tobytes()
        head = int.from_bytes(data[:HEAD_BYTES], "little")
        if len(data) < HEAD_BYTES or head & CHAINED != self._got_crc & CHAINED:
            raise NodeError("a frame before this one was lost, damaged, or came twice")
        how = head >> 15
        levels = self._coders[how].decode(data[HEAD_BYTES:]).reshape(self._transform.shape)
        self._got_crc = zlib.crc32(data, self._got_crc)
        return self._transform.tensor(self._got.coefficients(how, levels))
