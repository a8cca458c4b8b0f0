"""How a measurement gets on, for programs: one step after another, to a function."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from orchestrator.api.time_left import TimeLeft
from orchestrator.ask.split_point import cut_name, encodes, in_precision
from orchestrator.ask.sweep.cell import Cell
from orchestrator.measure.watcher import Watcher
from orchestrator.results.records import CellRecord, FrameRecord
from splitbed.timeline import Stage

Kind = Literal["begin", "note", "answer", "cell", "frame", "done", "failed", "stopped"]


@dataclass(frozen=True)
class Step:
    """What has just happened, and how far the run is; ``str`` has it in words.

    `done` of `cells` cells have ended; `frame` is that of the cell under way, counted from 1.
    `left_s` is what the run will still take, as far as its cells have taught that.
    """

    kind: Kind
    words: str
    done: int = 0
    cells: int = 0
    frame: int = 0
    folder: Path | None = None
    left_s: float | None = None

    def __str__(self) -> str:
        counted = f"{self.done} of {self.cells}: " if self.cells else ""
        return counted + self.words


class Follower(Watcher):
    """Tells a function of every step, if there is one; what the function raises ends the run."""

    def __init__(self, told: Callable[[Step], None] | None) -> None:
        self._told = told
        self._cells = self._done = self._frame = 0
        self._time = TimeLeft()
        self._where = ""
        self._folder: Path | None = None
        self._raised: BaseException | None = None

    def begin(self, cells: Sequence[Cell], folder: Path, backend: str) -> None:
        """The cells that will be measured."""
        self._cells, self._folder = len(cells), folder
        self._time.begin(cells)
        self._tell("begin", f"{len(cells)} cells over links shaped by {backend}")

    def race(self, cells: Sequence[Cell], folder: Path, backend: str) -> None:
        """The cells of which some will be measured: how many is not known."""
        self._folder = folder
        self._tell("begin", f"those of {len(cells)} cells that decide")

    def again(self, cells: Sequence[Cell]) -> None:
        """All were measured; these will be once more."""
        self._time.begin(cells)
        self._tell(
            "note", f"{len(cells)} cells were disturbed and are measured again, as long as it helps"
        )

    def note(self, words: str) -> None:
        """Something that the user may wait for, or wonder about."""
        self._tell("note", words)

    def answer(self, words: str) -> None:
        """A question of a race has another answer, or a surer one."""
        self._tell("answer", words)

    def cell(self, cell: Cell) -> None:
        """A cell begins."""
        self._where, self._frame = cell_words(cell), 0
        if self._cells:  # of those that are measured again nobody knows how many it will be
            self._cells = max(self._cells, self._done + 1)
        self._time.cell()
        self._tell("cell", self._where)

    def frame(self, frame: FrameRecord, stages: Sequence[Stage]) -> None:
        """A frame was measured."""
        self._frame += 1
        self._time.frame(frame.encoded_bytes)
        self._tell("frame", f"{self._where}, frame {self._frame}")

    def done(self, record: CellRecord) -> None:
        """A cell ended."""
        self._done += 1
        self._time.done()
        if record.error is not None:
            self._tell("failed", f"{self._where}: {record.error}")
        else:
            self._tell("done", f"{self._where}: {self._frame} frames")

    def stopped(self, error: BaseException) -> None:
        """The run was stopped before its last cell."""
        self._tell("stopped", str(error))

    @contextmanager
    def raising(self) -> Iterator[None]:
        """Raise what the function raised, once what it interrupted inside has been cleaned up."""
        try:
            yield
        finally:
            if self._raised is not None:
                raise self._raised

    def _tell(self, kind: Kind, words: str) -> None:
        if self._told is None or self._raised is not None:
            return
        try:
            how_far = (self._done, self._cells, self._frame, self._folder, self._time.left_s)
            self._told(Step(kind, words, *how_far))
        except BaseException as error:
            self._raised = error
            raise KeyboardInterrupt from error  # which every part of a run bears


def cell_words(cell: Cell) -> str:
    """A cell as users know it."""
    asked = cell.configuration
    codec = f", {asked.codec}," if encodes(asked.codec) else ""
    precise = in_precision(asked.precision.words)
    pace = f", UE {asked.pace.words}" if asked.pace.limits else ""
    return f"{cut_name(asked.split_name, asked.split)}{codec}{precise} at {asked.link_words}{pace}"
