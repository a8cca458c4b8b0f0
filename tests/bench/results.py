"""What keeping the results of a sweep takes beside measuring them, and reading them again.

In CPU time: how long the disk takes to say that a cell is on it is the disk's.
"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

from orchestrator.reports.html import write_report
from orchestrator.results.run_folder import ACCURACY_FILE, SUMMARY_FILE, RunFolder
from orchestrator.results.summary import accuracy_csv, rows, to_csv
from tests.bench.figure import Bar, Figure, median
from tests.orchestrator.made_runs import made_run
from tests.orchestrator.results.test_summary import add_cell

_REPEATS = 3
_CELLS = 500
_FRAMES = 50  # of each cell while it is kept, and four times as many to open


def figures(folder: Path) -> Iterator[Figure]:
    """Of runs made up."""
    swept = made_run(folder / "swept")
    what = f"keeping a sweep of {_CELLS} cells x {_FRAMES} frames"
    yield Figure(what, _seconds(lambda: _keep(swept)), "s", Bar(most=0.5))
    long = made_run(folder / "long")
    for cell in range(_CELLS):
        _add(long, cell, 4 * _FRAMES)
    what = f"a run of {4 * _CELLS * _FRAMES:,} frames"
    opened = [_seconds(lambda: rows(long)) for _ in range(_REPEATS)]
    yield median(f"opening {what}", "s", opened, Bar(most=1))
    yield Figure(f"the report of {what}", _seconds(lambda: write_report(long.path)), "s")


def _keep(folder: RunFolder) -> None:
    """Journal each cell and bring the tables up to date, as a sweep does."""
    for cell in range(_CELLS):
        _add(folder, cell, _FRAMES)
        folder.replace(SUMMARY_FILE, to_csv(rows(folder)))
        folder.replace(ACCURACY_FILE, accuracy_csv(folder))


def _add(folder: RunFolder, cell: int, frames: int) -> None:
    split = f"{cell + 3}:{_CELLS + 3 - cell}"
    add_cell(folder, split, [100 + frame % 7 for frame in range(frames)])


def _seconds(turn: Callable[[], object]) -> float:
    start = time.process_time()
    turn()
    return time.process_time() - start
