"""Who is told how a measurement gets on: bars, lines, metrics, traces, a program's callback."""

from collections.abc import Sequence
from pathlib import Path

from netem.spec import LinkSpec
from orchestrator.ask.sweep.cell import Cell
from orchestrator.results.records import CellRecord, FrameRecord, ProofRecord
from splitbed.timeline import Stage


class Watcher:
    """Told how a sweep gets on; does what it likes with it, which here is nothing."""

    def begin(self, cells: Sequence[Cell], folder: Path, backend: str) -> None:
        """The cells that will be measured."""

    def race(self, cells: Sequence[Cell], folder: Path, backend: str) -> None:
        """The cells of which some will be measured, one chosen after another."""

    def again(self, cells: Sequence[Cell]) -> None:
        """All were measured; these will be once more, since they were disturbed."""

    def note(self, words: str) -> None:
        """Something that the user may wait for, or wonder about."""

    def waits(self) -> None:
        """Nothing goes on from here but what others ask for."""

    def answer(self, words: str) -> None:
        """A question of a race has another answer, or a surer one."""

    def cell(self, cell: Cell) -> None:
        """A cell begins."""

    def proved(self, link: LinkSpec, proof: ProofRecord) -> None:
        """The link was measured."""

    def frame(self, frame: FrameRecord, stages: Sequence[Stage]) -> None:
        """A frame was measured; its stages are brought to one clock."""

    def done(self, record: CellRecord) -> None:
        """A cell ended, or failed."""

    def stopped(self, error: BaseException) -> None:
        """The sweep was stopped before its last cell."""
