"""What keeping the results of a sweep takes beside measuring them, and reading them again.

In CPU time: how long the disk takes to say that a cell is on it is the disk's.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from orchestrator.reports.html import write_report
from orchestrator.results.journal import Journal
from orchestrator.results.reading import read_folder
from orchestrator.results.records import CellRecord, FrameRecord
from orchestrator.results.run_folder import RunFolder
from tests.bench.figure import Bar, Figure, median
from tests.orchestrator.made_runs import made_run
from tests.orchestrator.results.test_summary import made_cell

_REPEATS = 3
_CELLS = 500
_FRAMES = 50  # of each cell while it is kept, and four times as many to open


def figures(folder: Path) -> Iterator[Figure]:
    """Of runs made up."""
    swept, cells = made_run(folder / "swept"), _cells(_FRAMES)
    what = f"keeping a sweep of {_CELLS} cells x {_FRAMES} frames"
    yield Figure(what, _seconds(lambda: _keep(swept, cells)), "s", Bar(most=0.5))
    long = made_run(folder / "long")
    _keep(long, _cells(4 * _FRAMES))
    what = f"a run of {4 * _CELLS * _FRAMES:,} frames"
    opened = [_seconds(lambda: read_folder(long.path).rows) for _ in range(_REPEATS)]
    yield median(f"opening {what}", "s", opened, Bar(most=1))
    yield Figure(f"the report of {what}", _seconds(lambda: write_report(long.path)), "s")


def _cells(frames: int) -> list[tuple[CellRecord, list[FrameRecord]]]:
    """Cells with so many frames each."""
    e2e_ms = [100 + frame % 7 for frame in range(frames)]
    return [made_cell(f"{cell + 3}:{_CELLS + 3 - cell}", e2e_ms) for cell in range(_CELLS)]


def _keep(folder: RunFolder, cells: Sequence[tuple[CellRecord, Sequence[FrameRecord]]]) -> None:
    """Journal each cell and bring the tables up to date, as a sweep does."""
    with Journal(folder, folder.read_run()) as journal:
        for cell, frames in cells:
            for frame in frames:
                journal.add_frame(frame)
            journal.add_cell(cell)
        journal.write_tables()


def _seconds(turn: Callable[[], object]) -> float:
    start = time.process_time()
    turn()
    return time.process_time() - start
