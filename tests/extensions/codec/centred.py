"""A fitted codec stage: it takes away what calibration frames have in common."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from splitbed.codecs.stage import Array, Floats, Setting, Stage, Unchanged, UsualKind
from splitbed.errors import NodeError, UsageError
from splitbed.tensors import TensorInfo


@dataclass(frozen=True)
class _Stage:
    encoded: TensorInfo
    mean: Array

    @property
    def most_bytes(self) -> int:
        return self.encoded.nbytes

    def encode(self, array: Array) -> Array:
        return array - self.mean

    def decode(self, array: Array) -> Array:
        return array + self.mean


@dataclass(frozen=True)
class _Kind(UsualKind):
    summary: str = "what is left when the calibration frames' mean is taken away"
    fitted: bool = True
    weighted: bool = False

    def takes(self, info: TensorInfo) -> bool:
        return info.datatype == "FP32"

    def fit(
        self,
        info: TensorInfo,
        frames: Sequence[Array],
        setting: Setting,
        parameter: int | None,
        sensitivity: Floats | None,
    ) -> bytes:
        mean = np.mean(frames, axis=0, dtype=np.float64)
        if not np.isfinite(mean).all():
            raise NodeError("a calibration frame has values that are NaN or infinite")
        return mean.astype("<f4").tobytes()

    def __call__(self, info: TensorInfo, setting: Setting, parameter: int | None) -> Stage:
        if not self.takes(info):
            return Unchanged(info)
        table = setting.table or b""
        if len(table) != info.nbytes:  # they may be a stranger's
            raise UsageError(f"its tables have {len(table)} bytes, not {info.nbytes}")
        return _Stage(info, np.frombuffer(table, "<f4").reshape(info.shape))


CENTRED = _Kind()
