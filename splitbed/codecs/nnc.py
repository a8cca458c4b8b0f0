"""NNC's tensor coding (ISO/IEC 15938-17) of maps: DeepCABAC, as the model coder ``nnc`` has it.

A row for each channel where the channels come first, so that those without a level but 0 cost
nothing.  The library decodes without bounds, and a worker for each frame would take longer than the
frame: what it makes is decoded where it was made, and no node takes this codec.
"""

import math
from dataclasses import dataclass

import numpy as np

from splitbed.codecs.calibration import refuse_not_finite
from splitbed.codecs.stage import Array, Dial, Setting, Stage, StageKind, Unchanged, UsualKind
from splitbed.errors import UsageError
from splitbed.tensors import NUMPY_TYPES, TensorInfo

QP = Dial(-60, 24, -8, False, (-14, -8, -4, 0, 4, 8))  # a step of 1/4, and from 0.09 to 4


class _Nnc:
    """Levels of two uniform quantisers in turn, whose step does not depend on the channel."""

    def __init__(self, info: TensorInfo, qp: int) -> None:
        from splitbed.model_coders.nnc import HEAD, DeepCabac, library

        self._info, self._qp = info, qp
        rows = max(
            (place for place in (1, 2) if math.prod(info.shape[: place - 1]) == 1), default=1
        )
        shape = math.prod(info.shape[:rows]), math.prod(info.shape[rows:])
        self._coding = DeepCabac(library(), shape, dependent=True)
        self.encoded = TensorInfo(info.name, "UINT8", (-1,))
        self.most_bytes = HEAD.size + self._coding.most_bytes

    def encode(self, array: Array) -> Array:
        refuse_not_finite(array)
        return np.frombuffer(
            self._coding.packed(*self._coding.quantised(array, self._qp)), np.uint8
        )

    def decode(self, array: Array) -> Array:
        values = self._coding.dequantised(*self._coding.unpacked(array))
        with np.errstate(over="ignore"):
            return values.reshape(self._info.shape).astype(NUMPY_TYPES[self._info.datatype])


@dataclass(frozen=True)
class _Kind(UsualKind):
    summary: str = f"NNC's DeepCABAC, for rd alone; its qp {QP.least} to {QP.most} ({QP.usual})"
    dial: Dial = QP
    local: bool = True

    def __call__(self, info: TensorInfo, setting: Setting, parameter: int | None) -> Stage:
        del setting
        qp = self.dial.step(parameter, "the quantiser (qp)")
        if min(info.shape, default=0) < 0:
            raise UsageError("it cannot stand behind what gives a size that depends on the content")
        if not info.datatype.startswith("FP") or 0 in info.shape or not info.shape:
            return Unchanged(info)
        return _Nnc(info, qp)


KINDS: dict[str, StageKind] = {"nnc": _Kind()}
