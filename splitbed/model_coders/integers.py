"""Stages that round weights to the levels of small integers.

    level = round(value / scale), from -top to top, top = 2**(bits - 1) - 1
    value = level * scale

Symmetric, and a scale for each output channel (the first axis of a Conv's or a Gemm's weight), as
ONNX Runtime's and TFLite's quantised weights are: zero stays zero.
"""

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from splitbed.codecs.stage import Array, Floats, Setting, Stage, StageKind, Unchanged, UsualKind
from splitbed.errors import NodeError, UsageError
from splitbed.tensors import NUMPY_TYPES, TensorInfo

Levels = npt.NDArray[np.int8] | npt.NDArray[np.int16]
LEAST_SCALE = np.float32(1e-30)  # what FP32's arithmetic bears
BITS = range(2, 17)
STEPS = (4, 6, 8, 16)
"""Bits of models that are sent in increments."""
FP16_MOST = np.float32(65504)
FP32_MOST = np.finfo(np.float32).max


def quantised(array: Array, bits: int, first: int | None = None) -> tuple[Levels, Floats]:
    """The levels of ``array``, of its shape, and the scale of each channel.

    Levels are INT8 up to 8 bits, else INT16.  Scales have 1 for each axis but the channels', which
    is the first; the last where the first is 1 (a depthwise convolution of TFLite).

    With ``first``, no more bits, both of ``STEPS``, they are the upper ones of the step above,
    rounded, and so on from 16 bits down; the greatest value is the top level of ``first`` bits.

    Raises:
        UsageError: ``bits`` is not from 2 to 16, or the array has no dimension.
        NodeError: values are not finite, or beyond FP32.
    """
    nested = first is None or (bits in STEPS and first in STEPS and first <= bits)
    if bits not in BITS or not nested or not array.ndim:
        raise UsageError(f"levels of {bits} bits for an array of {array.ndim} dimensions cannot be")
    with np.errstate(over="ignore"):  # it is refused below
        values = array.astype(np.float32, copy=False)
    channel = axis_of(array.shape)
    others = tuple(axis for axis in range(array.ndim) if axis != channel)
    most: Floats = np.maximum(
        values.max(axis=others, keepdims=True, initial=0),
        -values.min(axis=others, keepdims=True, initial=0),
    )
    if not np.isfinite(most).all():
        raise no_level(values)
    top = np.float32(2 ** ((first or bits) - 1) - 1)
    scales = _scales(most, top)
    if first:
        return _upper(values, scales, bits, first), scales / np.float32(2 ** (bits - first))
    levels = values / scales
    np.rint(levels, out=levels)
    return levels.astype(np.int8) if bits <= 8 else levels.astype(np.int16), scales


def no_level(values: Floats) -> NodeError:
    """That some of these have none."""
    bad = values.size - np.count_nonzero(np.isfinite(values))
    return NodeError(
        f"{bad} of its {values.size} values are NaN, infinite or beyond FP32, which no level"
        " stands for; zstd and shuffle carry what is infinite"
    )


def _upper(values: Floats, scales: Floats, bits: int, first: int) -> Levels:
    """The upper ``bits`` of levels of 16 bits."""
    fine = values / (scales / np.float32(2 ** (STEPS[-1] - first)))
    np.rint(fine, out=fine)
    levels = fine.astype(np.int16)
    for lower, upper in list(pairwise(STEPS))[::-1]:
        if lower >= bits:
            levels = (levels + np.int16(1 << (upper - lower - 1))) >> (upper - lower)
    return levels.astype(np.int8) if bits <= 8 else levels


def _scales(most: Floats, top: np.float32) -> Floats:
    """Those by which the greatest values are ``top`` levels, and stay within FP32 as such.

    They are found again in these values, rounded to FP32: tried for every mantissa, one such step
    makes any scale one that stays, and a quotient is one before.
    """
    greatest = FP32_MOST / top * (np.float32(1) - np.finfo(np.float32).eps)
    scales: Floats = np.clip(most / top, LEAST_SCALE, greatest)
    return scales * top / top


def dequantised(levels: Levels, scales: Floats) -> Floats:
    """The values that the levels stand for, of their shape."""
    return np.multiply(levels, scales, dtype=np.float32)


def packed(levels: Array) -> npt.NDArray[np.uint8]:
    """Levels of up to 4 bits, two in a byte, the first in its lower half, as ONNX has them."""
    pairs = np.append(levels, np.int8(0)) if levels.size % 2 else levels
    low, high = pairs[::2].view(np.uint8), pairs[1::2].view(np.uint8)
    return low & np.uint8(15) | high << np.uint8(4)


def unpacked(data: Array, size: int) -> npt.NDArray[np.int8]:
    """So many levels, as :func:`packed` put them."""
    pairs = np.empty((data.size, 2), np.int8)
    pairs[:, 0] = (data << 4).view(np.int8) >> 4
    pairs[:, 1] = data.view(np.int8) >> 4
    return pairs.reshape(-1)[:size]


def axis_of(shape: tuple[int, ...]) -> int:
    """Where a weight's output channels are."""
    return len(shape) - 1 if shape[0] == 1 and len(shape) > 2 else 0


class _Integers:
    """The scales, then the levels; of up to 4 bits two in a byte, the first in its lower half.

    Those of more than 8 bits are all upper bytes, then all lower ones: the upper compress.
    """

    def __init__(self, info: TensorInfo, bits: int, first: int | None) -> None:
        self._info, self._bits, self._size = info, bits, math.prod(info.shape)
        self._first = first
        axis = axis_of(info.shape)
        self._scales = tuple(size if place == axis else 1 for place, size in enumerate(info.shape))
        self._scale_bytes = 4 * info.shape[axis]
        level_bytes = -(-self._size // 2) if bits <= 4 else self._size * (1 if bits <= 8 else 2)
        self.encoded = TensorInfo(info.name, "UINT8", (self._scale_bytes + level_bytes,))
        self.most_bytes = self.encoded.nbytes

    def encode(self, array: Array) -> Array:
        levels, scales = quantised(array, self._bits, self._first)
        flat = levels.reshape(-1)
        if self._bits <= 4:
            data = packed(flat)
        elif self._bits <= 8:
            data = flat.view(np.uint8)
        else:
            data = flat.view(np.uint8).reshape(-1, 2).T[::-1].reshape(-1)
        return np.concatenate([scales.reshape(-1).view(np.uint8), data])

    def decode(self, array: Array) -> Array:
        scales = np.frombuffer(array[: self._scale_bytes].tobytes(), np.float32)
        if not (scales > 0).all() or not np.isfinite(scales).all():
            raise NodeError("a scale is not a positive number")
        levels = self._levels(array[self._scale_bytes :]).reshape(self._info.shape)
        values = dequantised(levels, scales.reshape(self._scales))
        if self._info.datatype == "FP16":  # half a scale beyond it would be infinite
            np.clip(values, -FP16_MOST, FP16_MOST, out=values)
        return values.astype(NUMPY_TYPES[self._info.datatype], copy=False)

    def _levels(self, data: Array) -> Levels:
        if self._bits <= 4:
            return unpacked(data, self._size)
        if self._bits <= 8:
            return data.view(np.int8)
        return np.ascontiguousarray(data.reshape(2, -1)[::-1].T).view(np.int16)


@dataclass(frozen=True)
class _Kind(UsualKind):
    """Biases and norms, which have one dimension, stay as they are: they are few, and matter."""

    bits: int

    @property
    def summary(self) -> str:
        """A line for the list of coders."""
        return f"{self.bits} bits, {2**self.bits - 1} levels for each output channel of a weight"

    def __call__(self, info: TensorInfo, setting: Setting, parameter: int | None) -> Stage:
        del setting
        steps = [bits for bits in STEPS if self.bits in STEPS and bits <= self.bits]
        if parameter is not None and not steps:
            raise UsageError(
                f"a model of {self.bits} bits is not sent in increments: give no number"
            )
        if parameter not in (None, *steps):
            raise UsageError(
                "its number, the fewest bits of a model that is sent in increments, is one of"
                f" {', '.join(map(str, steps))}, and not {parameter}"
            )
        if not info.datatype.startswith("FP") or len(info.shape) < 2:
            return Unchanged(info)
        return _Integers(info, self.bits, parameter)


KINDS: dict[str, StageKind] = {f"int{bits}": _Kind(bits) for bits in (*range(3, 9), 16)}
