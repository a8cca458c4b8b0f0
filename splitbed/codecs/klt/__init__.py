"""`klt`: the most of a calibrated map in the fewest bits, without training.

    tensor ──> transform ──> levels of one step ──> books of their classes, ANS ──> the wire

Of an idea older than networks: decorrelate, put one step where the outputs feel it alike, code what
is not 0 (transform coding; Goyal 2001, reverse water-filling; Cover and Thomas).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from splitbed.codecs.stage import (
    Array,
    Dial,
    Floats,
    Setting,
    Stage,
    StageKind,
    Unchanged,
    UsualKind,
    choices,
)
from splitbed.errors import UsageError
from splitbed.tensors import TensorInfo

DATATYPES = ("FP16", "FP32", "FP64", "INT8", "UINT8", "INT16")
"""Floating point, and the integers of quantised networks, whose levels are taken as numbers."""
WEIGHTED, PLAIN = "weighted", "plain"
DIAL = Dial(1, 4000, 100, finer_up=False, ladder=(8, 15, 30, 60, 120, 250, 500))
"""The ladder begins where maps of hundreds of channels, whose variance is a sum, lose little."""


@dataclass(frozen=True, kw_only=True)
class Kind(UsualKind):
    """Both of the codecs; ``weighted`` is whether part 2's sensitivity shapes the transform."""

    sequential: bool = False
    weighted: bool = True
    fitted: bool = True
    dial: Dial = DIAL
    summary: str = ""

    def chosen(self, words: tuple[str, ...]) -> "Kind":
        """The kind that the words behind the number mean: of ``plain`` all channels count alike."""
        chosen = choices(words, {"weight": (WEIGHTED, PLAIN)})
        return replace(self, weighted=chosen.get("weight", WEIGHTED) == WEIGHTED)

    def takes(self, info: TensorInfo) -> bool:
        """Whether it codes such a tensor; it hands on indices, masks, and what has no values."""
        return info.datatype in DATATYPES and min(info.shape, default=1) > 0

    def check(self, info: TensorInfo, setting: Setting) -> None:
        """Raise UsageError for a tensor of too many channels."""
        from splitbed.codecs.klt.transform import Layout

        Layout.of(info, setting).check()

    def axis(self, info: TensorInfo, frames: Sequence[Array], setting: Setting) -> int:
        """That of the channels, as ``fit`` will have them: of three dimensions the frames tell.

        Raises as :func:`splitbed.codecs.klt.fitting.laid_out` does.
        """
        from splitbed.codecs.klt.fitting import laid_out
        from splitbed.codecs.klt.threads import one_thread
        from splitbed.codecs.klt.transform import Layout

        with one_thread:
            return laid_out(Layout.of(info, setting), frames).axis

    def kept_bytes(self, table: bytes) -> int:
        """What a stage of such tables will keep."""
        from splitbed.codecs.klt.tables import kept_bytes

        return kept_bytes(table)

    def fit(
        self,
        info: TensorInfo,
        frames: Sequence[Array],
        setting: Setting,
        parameter: int | None,
        sensitivity: Floats | None,
    ) -> bytes:
        """The tables for a tensor that is as in ``frames``, which are in the order of time.

        ``sensitivity`` (channels x channels) is part 2's along :meth:`axis`, see
        :mod:`splitbed.codecs.klt.sensitivity`; None has all channels count alike.

        Raises as :func:`splitbed.codecs.klt.fitting.fitted` does.
        """
        from splitbed.codecs.klt.fitting import fitted
        from splitbed.codecs.klt.threads import one_thread
        from splitbed.codecs.klt.transform import Layout

        step = DIAL.step(parameter, "the step, in thousandths of the root of the variance,")
        layout = Layout.of(info, setting)
        weight = sensitivity if self.weighted else None
        with one_thread:
            return fitted(layout, frames, step / 1000, weight, inter=self.sequential).to_bytes()

    def __call__(self, info: TensorInfo, setting: Setting, parameter: int | None) -> Stage:
        """The stage of ``setting.table``, which is of this tensor; UsageError where it is not."""
        from splitbed.codecs.klt.stage import Inter, Intra
        from splitbed.codecs.klt.tables import read
        from splitbed.codecs.klt.transform import Layout

        DIAL.step(parameter, "the step, in thousandths of the root of the variance,")
        if not self.takes(info):
            return Unchanged(info)
        if setting.table is None:
            raise UsageError("it has no tables: calibrate it with frames first")
        tables = read(setting.table, Layout.of(info, setting), inter=self.sequential)
        return Inter(tables) if self.sequential else Intra(tables)


KINDS: dict[str, StageKind] = {
    "klt": Kind(summary="KLT weighted by what part 2 is sensitive to; step 1 to 4000 (100)"),
    "klt-inter": Kind(sequential=True, summary="the same, and what the frame before leaves"),
}
