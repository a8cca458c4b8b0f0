"""Progress of a sweep on stderr: cell, frame, time left."""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.progress import Progress as Bar
from rich.text import Text

from orchestrator.api.progress import cell_words
from orchestrator.api.time_left import TimeLeft, duration
from orchestrator.ask.sweep.cell import Cell
from orchestrator.cli.watch.heartbeat import Heartbeat
from orchestrator.measure.watcher import Watcher
from orchestrator.reports.terminal import Plain
from orchestrator.results.records import CellRecord, FrameRecord
from splitbed.command import printable
from splitbed.timeline import Stage


class SweepProgress(Watcher):
    """A bar on a terminal while cells are measured; a line per cell elsewhere, or every 10 s."""

    def __init__(self, console: Plain) -> None:
        self._console = console
        self._bar = Bar(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}", markup=False),
            console=console,
            transient=True,
        )
        self._task = self._bar.add_task("", total=None, left="")
        self._heart = Heartbeat(self._print, "setting up")
        self._time = TimeLeft()
        self._stack = ExitStack()
        self._frames = 0
        self._where = ""

    def __enter__(self) -> Self:
        if not self._console.is_terminal:
            self._stack.enter_context(self._heart)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def begin(self, cells: Sequence[Cell], folder: Path, backend: str) -> None:
        """The cells that will be measured."""
        self._time.begin(cells)
        what = f"{len(cells)} cells over links shaped by {backend}"
        if (least_s := self._time.least_s) >= 1:
            what += f", at least {duration(least_s)} on the wire"
        self._say(f"{what if cells else 'nothing left to measure'}; run: {folder}")
        self._bar.update(self._task, total=len(cells))
        if cells and self._console.is_terminal:
            self._bar.start()
            self._stack.callback(self._bar.stop)

    def race(self, cells: Sequence[Cell], folder: Path, backend: str) -> None:
        """The cells of which some will be measured."""
        what = f"those of {len(cells)} cells that decide, over links shaped by {backend}"
        self._say(f"{what}; run: {folder}")
        if self._console.is_terminal:
            self._bar.start()
            self._stack.callback(self._bar.stop)

    def again(self, cells: Sequence[Cell]) -> None:
        """All were measured; these will be once more."""
        self._time.begin(cells)
        self._say(f"{len(cells)} cells were disturbed and are measured again, as long as it helps")
        self._bar.update(self._task, total=(self._bar.tasks[0].total or 0) + len(cells))

    def note(self, words: str) -> None:
        """Something that the user may wait for, or wonder about."""
        self._heart.at(lambda: words)
        self._bar.update(self._task, description=printable(words))
        if not self._bar.live.is_started:
            self._say(words)

    def waits(self) -> None:
        """Nothing goes on from here but what others ask for: no sign of life is due."""
        self._stack.close()

    def answer(self, words: str) -> None:
        """A question of a race has another answer, or a surer one."""
        self._say(words)

    def cell(self, cell: Cell) -> None:
        """A cell begins."""
        self._time.cell()
        self._where, self._frames = cell_words(cell), 0
        self._heart.at(lambda: f"{self._where}, frame {self._frames}{self._left()}")
        self._bar.update(self._task, description=printable(self._where))

    def frame(self, frame: FrameRecord, stages: Sequence[Stage]) -> None:
        """A frame was measured."""
        self._frames += 1
        self._time.frame(frame.encoded_bytes)
        self._bar.update(self._task, description=printable(f"{self._where}, frame {self._frames}"))

    def done(self, record: CellRecord) -> None:
        """A cell ended."""
        self._time.done()
        self._bar.update(self._task, advance=1, left=self._left().removeprefix(", "))
        if record.error:
            self._say(
                Text.assemble(("failed", "red"), printable(f": {self._where}: {record.error}"))
            )
        elif not self._console.is_terminal:
            self._say(f"{self._where}: {self._frames} frames{self._left()}")

    def _say(self, words: str | Text) -> None:
        self._heart.told()
        self._print(words)

    def _print(self, words: str | Text) -> None:
        self._console.print(words, soft_wrap=True)

    def _left(self) -> str:
        left_s = self._time.left_s
        return f", {duration(left_s)} left" if left_s else ""
