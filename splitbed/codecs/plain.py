"""Kinds of stages that take no parameter."""

from collections.abc import Callable
from dataclasses import dataclass

from splitbed.codecs.stage import Setting, Stage, Unchanged, UsualKind
from splitbed.errors import UsageError
from splitbed.tensors import TensorInfo


@dataclass(frozen=True)
class PlainKind(UsualKind):
    """A :class:`splitbed.codecs.stage.StageKind`, whose stages ``make`` makes.

    Its stages code tensors whose size is known before.
    """

    make: Callable[[TensorInfo, Setting], Stage]
    summary: str

    def __call__(self, info: TensorInfo, setting: Setting, parameter: int | None) -> Stage:
        """A stage for ``info``; UsageError for a parameter, or a size that depends on content."""
        if parameter is not None:
            raise UsageError(f"it takes no number, and got {parameter}")
        if min(info.shape, default=0) < 0:
            raise UsageError("it cannot stand behind what gives a size that depends on the content")
        if not self.lossless and not info.datatype.startswith("FP"):
            return Unchanged(info)
        return self.make(info, setting)
