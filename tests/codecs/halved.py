"""A codec as a user writes one: it halves the values, and fails where one is negative."""

from dataclasses import dataclass

from splitbed.codecs.stage import Array, Setting, Stage, UsualKind
from splitbed.tensors import TensorInfo


@dataclass(frozen=True)
class _Halved:
    encoded: TensorInfo

    @property
    def most_bytes(self) -> int:
        return self.encoded.nbytes

    def encode(self, array: Array) -> Array:
        1 // int(array.min() >= 0)
        return array / 2

    def decode(self, array: Array) -> Array:
        return array * 2


@dataclass(frozen=True)
class _Kind(UsualKind):
    summary: str = "half of each value"

    def __call__(self, info: TensorInfo, setting: Setting, parameter: int | None) -> Stage:
        return _Halved(info)


KIND = _Kind()
