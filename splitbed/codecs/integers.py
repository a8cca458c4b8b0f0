"""Stages that round floating point numbers to the levels of small integers.

    level = clip(round(value / scale) + zero, 0, top)      value = (level - zero) * scale

Affine, in the words of ONNX's QuantizeLinear: a map after a Relu has no negative values, for which
a symmetric quantiser would keep half of its levels. A range is widened to hold 0, which so is a
level of its own: what a Relu made zero stays zero, and compresses as zeros.
"""

import math
from functools import partial

import numpy as np
import numpy.typing as npt

from splitbed.codecs.calibration import axis_of, folded, limits_of, refuse_not_finite
from splitbed.codecs.kernels import Step, cast, kernel
from splitbed.codecs.plain import PlainKind
from splitbed.codecs.stage import Array, Floats, Setting, StageKind
from splitbed.tensors import TensorInfo

LEAST_SCALE = 1e-30  # what FP32's arithmetic bears
SHORT = 32
"""So few values of a channel in a row are slow in ONNX Runtime's QuantizeLinear: 0.1 GB/s."""

Levels = npt.NDArray[np.uint8]


class _Integers:
    """Levels of 4 or 8 bits, for each channel by its range, or for the tensor by all of them.

    Values outside the range are clipped.  Inside it, a value is wrong by at most half a scale,
    which is the range, widened to hold 0, divided by 15 or 255.  Levels of 4 bits are two in a
    byte, the first in its upper half.
    """

    def __init__(self, info: TensorInfo, setting: Setting, *, bits: int, per_channel: bool) -> None:
        self._info, self._bits, self._size = info, bits, math.prod(info.shape)
        fold = folded(info.shape, axis_of(info, setting))
        low, high = limits_of(info, setting)
        if not per_channel:
            fold = 1, 1, self._size
            low, high = low.min(initial=0, keepdims=True), high.max(initial=0, keepdims=True)
        self._fold = fold
        scale, zero = _scale(low, high, 2**bits - 1)
        there, back = (_elementwise if fold[2] < SHORT else _by_operator)(scale, zero)
        if info.datatype != "FP32":
            there = [cast("FP32"), *there]
            back = [*back, *_bounds(info.datatype), cast(info.datatype)]
        self._quantise = kernel(info.datatype, "UINT8", 3, there)
        self._dequantise = kernel("UINT8", info.datatype, 3, back)
        shape = info.shape if bits == 8 else (-(-self._size // 2),)
        self.encoded = TensorInfo(info.name, "UINT8", shape)
        self.most_bytes = self.encoded.nbytes

    def encode(self, array: Array) -> Array:
        refuse_not_finite(array)
        levels = self._quantise(array.reshape(self._fold)).reshape(-1)
        return (levels if self._bits == 8 else _packed(levels)).reshape(self.encoded.shape)

    def decode(self, array: Array) -> Array:
        levels = array if self._bits == 8 else _unpacked(array)[: self._size]
        return self._dequantise(levels.reshape(self._fold)).reshape(self._info.shape)


def _scale(low: Floats, high: Floats, top: int) -> tuple[Floats, Levels]:
    """Scale and zero level of each channel; one that never varied has the range from it to 0."""
    low, high = np.minimum(low, 0), np.maximum(high, 0)
    scale = np.maximum((high.astype(np.float64) - low) / top, LEAST_SCALE)
    return scale.astype(np.float32), np.asarray(np.rint(-low / scale), np.uint8)


def _by_operator(scale: Floats, zero: Levels) -> tuple[list[Step], list[Step]]:
    constants: tuple[Array, Array] = scale, zero
    return (
        [Step("QuantizeLinear", constants, {"axis": 1})],
        [Step("DequantizeLinear", constants, {"axis": 1})],
    )


def _elementwise(scale: Floats, zero: Levels) -> tuple[list[Step], list[Step]]:
    by, offset = scale.reshape(-1, 1), zero.reshape(-1, 1).astype(np.float32)
    as_it_is: tuple[Array, Array] = np.array(1, np.float32), np.array(0, np.uint8)
    return (
        [Step("Mul", [1 / by]), Step("Add", [offset]), Step("QuantizeLinear", as_it_is)],
        [cast("FP32"), Step("Sub", [offset]), Step("Mul", [by])],
    )


def _bounds(datatype: str) -> list[Step]:
    """Half a scale beyond 65504 would be infinite in FP16."""
    if datatype != "FP16":
        return []
    return [Step("Clip", [np.array(end, np.float32) for end in (-65504, 65504)])]


def _packed(levels: Array) -> Array:
    levels = np.minimum(levels, 15)
    pairs = (np.append(levels, np.uint8(0)) if levels.size % 2 else levels).view("<u2")
    return ((pairs << 4) | (pairs >> 8)).astype(np.uint8)


def _unpacked(packed: Array) -> Array:
    pairs = packed.astype("<u2")
    return ((pairs >> 4) | ((pairs & 15) << 8)).view(np.uint8)


def _kind(summary: str, bits: int, *, per_channel: bool) -> StageKind:
    make = partial(_Integers, bits=bits, per_channel=per_channel)
    return PlainKind(make, summary, calibrated=True)


KINDS: dict[str, StageKind] = {
    "int8": _kind("8 bits, 256 levels over each channel's range", 8, per_channel=True),
    "int8-tensor": _kind("8 bits, 256 levels over the tensor's range", 8, per_channel=False),
    "int4": _kind("4 bits, 16 levels over each channel's range", 4, per_channel=True),
}
