"""The stage that keeps a weight as FP16, and the one that makes its least values zero."""

import math
from dataclasses import dataclass

import numpy as np

from splitbed.codecs.plain import PlainKind
from splitbed.codecs.stage import Array, Setting, Stage, StageKind, Unchanged
from splitbed.errors import NodeError, UsageError
from splitbed.tensors import NUMPY_TYPES, TensorInfo

EXPONENT, WITHOUT_SIGN = 0x7C00, 0x7FFF  # of binary16


class _Fp16:
    """IEEE 754 binary16, rounded to nearest even, by numpy: a decoder starts without a runtime.

    ``encode`` raises NodeError for a finite value beyond 65504.
    """

    def __init__(self, info: TensorInfo, _: Setting) -> None:
        self._dtype = NUMPY_TYPES[info.datatype]
        self.encoded = TensorInfo(info.name, "FP16", info.shape)
        self.most_bytes = self.encoded.nbytes

    def encode(self, array: Array) -> Array:
        with np.errstate(over="ignore"):  # it is refused below
            halves = array.astype(np.float16)
        # numpy compares integers much faster than halves
        if (halves.view(np.uint16) & WITHOUT_SIGN).max(initial=0) >= EXPONENT:
            beyond = np.count_nonzero(np.isinf(halves) & np.isfinite(array))
            if beyond:
                raise NodeError(
                    f"{beyond} of its {array.size} values are beyond 65504, the greatest FP16;"
                    " dummy, bf16, zstd and shuffle carry them"
                )
        return halves

    def decode(self, array: Array) -> Array:
        return array.astype(self._dtype)


class _Pruned:
    """Weights of which the given part, those of the least magnitude, became zero.

    A tensor is coded in blocks (see :mod:`splitbed.model_coders.blocks`), and each block has its
    part of zeros.
    """

    def __init__(self, info: TensorInfo, percent: int) -> None:
        self.encoded, self.most_bytes = info, info.nbytes
        self._zeros = math.prod(info.shape) * percent // 100

    def encode(self, array: Array) -> Array:
        if not self._zeros:
            return array
        magnitude = np.abs(array)
        if np.isnan(magnitude.max(initial=0)):
            raise NodeError("some of its values are NaN, which have no magnitude to prune by")
        last = np.partition(magnitude, self._zeros - 1, axis=None)[self._zeros - 1]
        return np.where(magnitude > last, array, array.dtype.type(0))

    def decode(self, array: Array) -> Array:
        return array


@dataclass(frozen=True)
class _Prune:
    lossless: bool = False
    calibrated: bool = False
    sequential: bool = False
    summary: str = "the given percent of a weight, the least in magnitude, made zero"

    def __call__(self, info: TensorInfo, setting: Setting, parameter: int | None) -> Stage:
        del setting
        if parameter is None or not 0 <= parameter < 100:
            raise UsageError(f"it takes a percent from 0 to 99, such as prune:30, not {parameter}")
        if not info.datatype.startswith("FP") or len(info.shape) < 2:
            return Unchanged(info)
        return _Pruned(info, parameter)


def _fp16(info: TensorInfo, setting: Setting) -> Stage:
    return Unchanged(info) if info.datatype == "FP16" else _Fp16(info, setting)


KINDS: dict[str, StageKind] = {
    "fp16": PlainKind(_fp16, "16 bits: 11 of precision, up to 65504"),
    "prune": _Prune(),
}
