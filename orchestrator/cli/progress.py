"""Progress of a sweep on stderr: cell, frame, time left."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.progress import Progress as Bar

from orchestrator.api.progress import cell_words
from orchestrator.ask.config import MIN_FRAMES
from orchestrator.ask.grid import Cell
from orchestrator.measure.watcher import Watcher
from orchestrator.results.records import CellRecord, FrameRecord
from splitbed.timeline import Stage

_CELL_S = 2.0  # a first guess of what a cell takes beside the wire, until cells were measured


class SweepProgress(Watcher):
    """A bar on a terminal, a line per cell elsewhere."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]} left"),
            console=console,
            transient=True,
        )
        self._wires_s: list[float] = []
        self._overheads_s: list[float] = []
        self._began = 0.0
        self._frames = 0
        self._where = ""
        self._task = self._bar.add_task("starting", total=None, left="")

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._console.is_terminal:
            self._bar.stop()

    def begin(self, cells: Sequence[Cell], folder: Path, backend: str) -> None:
        """The cells that will be measured."""
        self._wires_s = [(MIN_FRAMES * cell.wire_ms + cell.delivery_ms) / 1e3 for cell in cells]
        self._bar.update(self._task, total=len(cells), left=self._left())
        what = f"{len(cells)} cells over links shaped by {backend}, about {self._left()}"
        self._say(f"{what if cells else 'nothing left to measure'}; run: {folder}")

    def note(self, words: str) -> None:
        """Something that the user may wait for, or wonder about."""
        self._bar.update(self._task, description=words)
        if not self._console.is_terminal:
            self._say(escape(words))

    def _say(self, words: str) -> None:
        self._console.print(words, soft_wrap=True)

    def cell(self, cell: Cell) -> None:
        """A cell begins."""
        self._began, self._frames = time.monotonic(), 0
        self._where = cell_words(cell)
        self._bar.update(self._task, description=self._where)

    def frame(self, frame: FrameRecord, stages: Sequence[Stage]) -> None:
        """A frame was measured."""
        self._frames += 1
        self._bar.update(self._task, description=f"{self._where}, frame {self._frames}")

    def done(self, record: CellRecord) -> None:
        """A cell ended."""
        error = record.error
        # a codec may leave less of the wire than was thought
        self._overheads_s.append(max(0, time.monotonic() - self._began - self._wires_s.pop(0)))
        self._bar.update(self._task, advance=1, left=self._left())
        if error:
            self._say(f"[red]failed[/]: {self._where}: {escape(error)}")
        elif not self._console.is_terminal:
            self._say(f"{self._where}: {self._frames} frames, {self._left()} left")

    def _left(self) -> str:
        measured = self._overheads_s
        each_s = sum(measured) / len(measured) if measured else _CELL_S
        left_s = sum(self._wires_s) + each_s * len(self._wires_s)
        minutes, seconds = divmod(round(left_s), 60)
        return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
