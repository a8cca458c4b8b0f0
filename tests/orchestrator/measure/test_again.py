"""Which visits are made again, once all were made, and when that is given up."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from unittest.mock import Mock

import pytest
from msgspec.structs import replace

from netem.spec import symmetric
from orchestrator.ask.configuration import Configuration
from orchestrator.ask.sweep.cell import Cell, Visit
from orchestrator.measure.racing.again import disturbed_again
from orchestrator.measure.racing.visits import Racing
from orchestrator.measure.watcher import Watcher
from orchestrator.results.facts import ModelFacts
from orchestrator.results.journal import Journal
from orchestrator.results.reading import read_folder
from orchestrator.results.records import (
    CellRecord,
    FrameRecord,
    MachineRecord,
    ProofRecord,
    RunRecord,
)
from orchestrator.results.run_folder import RunFolder
from splitbed.timeline import Stage

MS = 1_000_000
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


def proof(fault: str) -> ProofRecord:
    return ProofRecord(uplink_mbit=8, downlink_mbit=8, rtt_min_ms=0.2, fault=fault)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    grid = tuple(visit.cell.configuration.key for visit in GRID)
    with Journal(RunFolder(tmp_path), RunRecord(grid=grid, model=ModelFacts(name="m"))) as journal:
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


def test_one_whose_link_met_a_stall_is_first(journal: Journal) -> None:
    stages = (Stage("part1", 0, MS), Stage("result", MS, 2 * MS))
    for visit in GRID:
        key = visit.cell.configuration.key
        proofs = (proof(""), proof("uplink 3")) if visit is GRID[4] else ()
        journal.add_frame(FrameRecord(attempt=key, frame=0, stages=stages))
        journal.add_cell(replace(ended(visit, busy=True), codec="none", proofs=proofs))
    assert journal.valid == {visit.key for visit in GRID if visit is not GRID[4]}
    assert next(disturbed_again(GRID, journal, Told())) is GRID[4]


def test_a_visit_that_failed_is_for_resume(journal: Journal) -> None:
    for visit in GRID:
        journal.add_cell(ended(visit, busy=True, error="the edge died"))
    assert [*disturbed_again(GRID, journal, Told())] == []


def test_what_does_not_fit_into_the_time_that_is_left_is_not_made_again(journal: Journal) -> None:
    for visit in GRID:
        journal.add_cell(ended(visit, busy=True))
    small = [*disturbed_again(GRID, journal, Told(), lambda visit: visit is GRID[3])]
    assert small == [GRID[3]] * 2
    assert [*disturbed_again(GRID, journal, Told(), lambda _: False)] == []


def test_a_race_that_has_nothing_more_to_ask_has_what_was_disturbed_visited(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    for visit in GRID:
        journal.add_cell(ended(visit, busy=visit is GRID[2]))
    race = Mock()
    race.next.return_value, race.answers.return_value, race.beliefs.return_value = None, (), {}
    monkeypatch.setattr(Racing, "_race", lambda _: race)
    config, engine = Mock(budget=None), Mock(watcher=Told())
    cells = [visit.cell for visit in GRID]
    racing = Racing(config, cells, engine, journal, failed=(), forecast=Mock(), began_s=0.0)
    assert [*racing.visits()] == [GRID[2]] * 2


FRAME = (Stage("part1", 0, MS), Stage("result", MS, 2 * MS))


def visited(journal: Journal, visit: Visit, attempt: str, **changed: object) -> None:
    """One visit of a device anchor, with a frame."""
    journal.add_frame(FrameRecord(attempt=attempt, stages=FRAME))
    cell = replace(ended(visit, busy=True), attempt=attempt, codec="none", frames=1)
    journal.add_cell(replace(cell, **changed))


@pytest.mark.parametrize(
    "failed",
    [
        {"error": "the edge died", "frames": 0},
        {"proofs": (proof(""), proof("uplink 3"))},
    ],
)
def test_a_measurement_counts_though_measuring_it_again_failed_which_is_told(
    journal: Journal, failed: dict[str, object]
) -> None:
    visited(journal, GRID[0], "first")
    visited(journal, GRID[0], "second", **failed)
    why = str(failed.get("error", "uplink 3"))
    for row in (*journal.rows, *read_folder(journal.folder.path).rows):
        assert (row.valid, row.measured, row.frames) == (True, 2, 1)
        assert row.reason == f"valid, though it failed when measured again: {why}"
    visited(journal, GRID[0], "third")  # and the last that did not fail counts
    assert [(row.valid, row.measured, row.reason) for row in journal.rows] == [(True, 3, "")]


def test_one_that_failed_twice_is_invalid_for_what_failed_last(journal: Journal) -> None:
    visited(journal, GRID[0], "first", proofs=(proof("uplink 3"), proof("uplink 3")))
    visited(journal, GRID[0], "second", error="the edge died")
    assert [(row.valid, row.reason) for row in journal.rows] == [(False, "the edge died")]
