"""Stages that keep 16 bits of floating point numbers that have more."""

from collections.abc import Callable
from weakref import WeakValueDictionary

import numpy as np

from splitbed.codecs.kernels import Kernel, cast, kernel
from splitbed.codecs.plain import PlainKind
from splitbed.codecs.stage import Array, Setting, Stage, StageKind, Unchanged
from splitbed.errors import NodeError
from splitbed.tensors import NUMPY_TYPES, TensorInfo

BF16_EXPONENT = 0x7F80
BF16_MOST = 3.3895e38  # a little less than the greatest
FP16_EXPONENT = 0x7C00
WITHOUT_SIGN = 0x7FFF

_casts: WeakValueDictionary[tuple[str, str], Kernel] = WeakValueDictionary()
"""One for all tensors, as long as one of them needs it."""


class _Fp16:
    """IEEE 754 binary16, rounded to nearest even; NaN and infinity stay what they are.

    ``encode`` raises NodeError for a finite value beyond 65504.
    """

    def __init__(self, info: TensorInfo, _: Setting) -> None:
        self._shape = info.shape
        self.encoded = TensorInfo(info.name, "FP16", info.shape)
        self.most_bytes = self.encoded.nbytes
        self._narrow = _cast(info.datatype, "FP16")
        self._widen = _cast("FP16", info.datatype)

    def encode(self, array: Array) -> Array:
        halves = self._narrow(array.reshape(-1))
        _refuse_overflow(array, halves.view(np.uint16), FP16_EXPONENT, "65504, the greatest FP16")
        return halves.reshape(self._shape)

    def decode(self, array: Array) -> Array:
        return self._widen(array.reshape(-1)).reshape(self._shape)


class _Bf16:
    """bfloat16, the upper half of an FP32, rounded to nearest even; as UINT16.

    FP64 is made FP32 first, also to nearest.  ``encode`` raises NodeError for a finite value
    beyond the greatest bfloat16.
    """

    def __init__(self, info: TensorInfo, _: Setting) -> None:
        self._info = info
        self.encoded = TensorInfo(info.name, "UINT16", info.shape)
        self.most_bytes = self.encoded.nbytes

    def encode(self, array: Array) -> Array:
        with np.errstate(over="ignore"):  # it is refused below, with a count
            values = array.reshape(-1).astype(np.float32, copy=False)
        bits = values.view(np.uint32)
        rounded = bits >> 16
        rounded &= 1
        rounded += 0x7FFF
        rounded += bits  # a NaN may wrap around here
        rounded >>= 16
        upper = rounded.astype(np.uint16)
        # Not so where a value is NaN: both ends are NaN then.
        if not -BF16_MOST < values.min(initial=0) <= values.max(initial=0) < BF16_MOST:
            special = np.isnan(values)
            upper[special] = (bits[special] >> 16) | 0x40  # quiet, with its sign
            _refuse_overflow(array, upper, BF16_EXPONENT, "3.39e38, the greatest bfloat16")
        return upper.reshape(self._info.shape)

    def decode(self, array: Array) -> Array:
        bits = array.astype(np.uint32)
        bits <<= 16
        dtype = NUMPY_TYPES[self._info.datatype]
        return bits.view(np.float32).astype(dtype, copy=False).reshape(self._info.shape)


def _cast(takes: str, gives: str) -> Kernel:
    if (made := _casts.get((takes, gives))) is None:
        made = _casts[takes, gives] = kernel(takes, gives, 1, [cast(gives)])
    return made


def _refuse_overflow(array: Array, rounded: Array, infinity: int, most: str) -> None:
    """NodeError where rounding made a finite value infinite; ``rounded`` are bits."""
    if not rounded.size or (rounded & WITHOUT_SIGN).max() < infinity:
        return
    infinite = np.count_nonzero((rounded & WITHOUT_SIGN) == infinity)
    if beyond := infinite - np.count_nonzero(np.isinf(array)):
        raise NodeError(
            f"{beyond} of its {array.size} values are beyond {most};"
            " raw, zstd, shuffle and sparse carry them"
        )


def _kind(stage: Callable[[TensorInfo, Setting], Stage], summary: str) -> StageKind:
    """A kind that hands FP16 on: it has 16 bits already."""
    return PlainKind(
        lambda info, to: Unchanged(info) if info.datatype == "FP16" else stage(info, to), summary
    )


KINDS: dict[str, StageKind] = {
    "fp16": _kind(_Fp16, "16 bits: 11 of precision, up to 65504"),
    "bf16": _kind(_Bf16, "16 bits: 8 of precision, the range of FP32"),
}
