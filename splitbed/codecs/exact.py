"""Stages that put a tensor's bytes in another order, or leave zeros out; exact for any content."""

import math

import numpy as np

from splitbed.codecs.plain import PlainKind
from splitbed.codecs.stage import Array, Setting, Stage, StageKind, Unchanged
from splitbed.errors import NodeError
from splitbed.tensors import NUMPY_TYPES, TensorInfo


class _Shuffle:
    """All first bytes, then all second bytes, and so on: like stands by like, as Blosc does."""

    def __init__(self, info: TensorInfo) -> None:
        self._info, self._dtype = info, np.dtype(NUMPY_TYPES[info.datatype])
        planes = self._dtype.itemsize
        self.encoded = TensorInfo(info.name, "UINT8", (planes, math.prod(info.shape)))
        self.most_bytes = self.encoded.nbytes

    def encode(self, array: Array) -> Array:
        numbers = array.reshape(-1).view(np.uint8).reshape(-1, self._dtype.itemsize)
        return np.ascontiguousarray(numbers.T)

    def decode(self, array: Array) -> Array:
        numbers = np.empty(array.shape[::-1], np.uint8)
        for place, plane in enumerate(array):
            numbers[:, place] = plane
        return numbers.reshape(-1).view(self._dtype).reshape(self._info.shape)


class _Sparse:
    """A bit for each number, the first in the highest of its byte, then those that are not zero.

    A zero is a number whose bits are all 0, which -0.0 is not.
    """

    def __init__(self, info: TensorInfo, _: Setting) -> None:
        self._info, self._dtype = info, np.dtype(NUMPY_TYPES[info.datatype])
        self._bits = np.dtype(f"u{self._dtype.itemsize}")
        self._size = math.prod(info.shape)
        self._mask_bytes = -(-self._size // 8)
        self.encoded = TensorInfo(info.name, "UINT8", (-1,))
        self.most_bytes = self._mask_bytes + info.nbytes

    def encode(self, array: Array) -> Array:
        numbers = array.reshape(-1).view(self._bits)
        mask = numbers != 0
        return np.concatenate([np.packbits(mask), np.compress(mask, numbers).view(np.uint8)])

    def decode(self, array: Array) -> Array:
        mask, rest = array[: self._mask_bytes], array[self._mask_bytes :]
        places = np.unpackbits(mask).view(bool).nonzero()[0]
        if (
            mask.size < self._mask_bytes
            or places.size * self._bits.itemsize != rest.size
            or (places.size and places[-1] >= self._size)
        ):
            raise NodeError(
                f"{array.size} bytes are not a mask of {self._size} bits and what it announces"
            )
        numbers = np.zeros(self._size, self._bits)
        numbers[places] = np.frombuffer(rest.tobytes(), self._bits)
        return numbers.view(self._dtype).reshape(self._info.shape)


def _shuffle(info: TensorInfo, _: Setting) -> Stage:
    return Unchanged(info) if np.dtype(NUMPY_TYPES[info.datatype]).itemsize == 1 else _Shuffle(info)


KINDS: dict[str, StageKind] = {
    "shuffle": PlainKind(_shuffle, "bytes of like weight together, for zstd", lossless=True),
    "sparse": PlainKind(_Sparse, "a bitmask, and the numbers that are not 0", lossless=True),
}
