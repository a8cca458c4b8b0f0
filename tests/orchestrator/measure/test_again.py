"""Which visits are made again, once all were made, and when that is given up."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from netem.spec import symmetric
from orchestrator.ask.configuration import Configuration
from orchestrator.ask.grid import Cell, Visit
from orchestrator.measure.sweep import disturbed_again
from orchestrator.measure.watcher import Watcher
from orchestrator.results.journal import Journal
from orchestrator.results.records import CellRecord, MachineRecord, RunRecord
from orchestrator.results.run_folder import RunFolder

LINK = symmetric(rate_mbit=8)
GRID = [Visit(Cell(Configuration(k, 9, "cut", link=LINK), 1)) for k in range(6)]


class Told(Watcher):
    """Keeps what it was told."""

    def __init__(self) -> None:
        self.counts: list[int] = []
        self.notes: list[str] = []

    def again(self, cells: Sequence[Cell]) -> None:
        self.counts.append(len(cells))

    def note(self, words: str) -> None:
        self.notes.append(words)


def ended(visit: Visit, *, busy: bool, error: str | None = None) -> CellRecord:
    asked = visit.cell.configuration
    return CellRecord(
        key=asked.key,
        attempt=asked.key,
        split=asked.split,
        split_name=asked.split_name,
        link=LINK,
        error=error,
        machine=MachineRecord(others_share=0.9 if busy else 0.0),
    )


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    grid = tuple(visit.cell.configuration.key for visit in GRID)
    with Journal(RunFolder(tmp_path), RunRecord(grid=grid)) as journal:
        yield journal


@pytest.mark.parametrize(
    ("busy", "made", "counts", "given_up"),
    [
        # by split: whether it was busy at the first visit, the second, and so on
        ({}, [], [], False),
        ({2: [1]}, [2], [1], False),
        ({2: [1, 1]}, [2, 2], [1, 1], False),
        ({2: [1, 1, 1]}, [2, 2], [1, 1], False),
        ({k: [1] for k in range(6)}, [0, 1, 2, 3, 4, 5], [6], False),  # a machine quiet by now
        ({k: [1, 1, 1] for k in range(6)}, [0, 1, 2], [6], True),
        ({k: [1, k != 2, 1] for k in range(6)}, [0, 1, 2, 3, 4, 5], [6], True),
        # two in vain, and the third in the second round
        ({3: [1, 1, 1], 4: [1, 1, 1]}, [3, 4, 3], [2, 2], True),
    ],
)
def test_what_was_disturbed_is_visited_up_to_twice_until_three_in_a_row_were_in_vain(
    journal: Journal,
    busy: dict[int, list[bool]],
    made: list[int],
    counts: list[int],
    given_up: bool,
) -> None:
    watcher, left = Told(), {k: iter(one) for k, one in busy.items()}

    def make(visit: Visit) -> None:
        k = visit.cell.configuration.k
        journal.add_cell(ended(visit, busy=bool(next(left.get(k, iter(())), False))))

    for visit in GRID:
        make(visit)
    again = []
    for visit in disturbed_again(GRID, journal, watcher):
        again.append(visit.cell.configuration.k)
        make(visit)
    assert (again, watcher.counts) == (made, counts)
    assert len(watcher.notes) == given_up
    assert [row.measured for row in journal.rows] == [1 + again.count(k) for k in range(6)]


def test_a_visit_that_failed_is_for_resume(journal: Journal) -> None:
    for visit in GRID:
        journal.add_cell(ended(visit, busy=True, error="the edge died"))
    assert [*disturbed_again(GRID, journal, Told())] == []
