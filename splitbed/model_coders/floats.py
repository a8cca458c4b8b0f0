"""The stage that keeps a weight as FP16."""

import numpy as np

from splitbed.codecs.plain import PlainKind
from splitbed.codecs.stage import Array, Setting, Stage, StageKind, Unchanged
from splitbed.errors import NodeError
from splitbed.model_coders.blocks import FP16_INFINITY, FP16_WITHOUT_SIGN
from splitbed.tensors import NUMPY_TYPES, TensorInfo


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
        if (halves.view(np.uint16) & FP16_WITHOUT_SIGN).max(initial=0) >= FP16_INFINITY:
            beyond = np.count_nonzero(np.isinf(halves) & np.isfinite(array))
            if beyond:
                raise NodeError(
                    f"{beyond} of its {array.size} values are beyond 65504, the greatest FP16;"
                    " dummy, bf16, zstd and shuffle carry them"
                )
        return halves

    def decode(self, array: Array) -> Array:
        return array.astype(self._dtype)


def _fp16(info: TensorInfo, setting: Setting) -> Stage:
    return Unchanged(info) if info.datatype == "FP16" else _Fp16(info, setting)


KINDS: dict[str, StageKind] = {
    "fp16": PlainKind(_fp16, "16 bits: 11 of precision, up to 65504"),
}
