"""A run at a load holds where all that must hold does of each UE."""

from collections.abc import Mapping, Sequence

import pytest

from netem.spec import symmetric
from orchestrator.ask.configuration import Configuration
from orchestrator.ask.crowd import OwnUe
from orchestrator.ask.load import load_named
from orchestrator.ask.sweep.cell import Cell, Visit
from orchestrator.capacity.objective import objective
from orchestrator.capacity.trial import LOST, judged
from orchestrator.measure.cell import cell_record
from orchestrator.results.records import FrameRecord
from orchestrator.results.records.capacity import Trial
from orchestrator.results.statistics.measured_visit import measured_visit
from splitbed.timeline import NS_PER_MS

EVERY_MS = 100


def trial(slo: str, took_ms: Mapping[str, Sequence[float | None]]) -> Trial:
    """Of frames that took so long, by UE; None was dropped."""
    ues, link = tuple(OwnUe(ue) for ue in took_ms if ue), symmetric(rate_mbit=20)
    asked = Configuration(1, 2, "cut", link=link, load=load_named("fps:10"), ues=ues)
    visit = Visit(Cell(asked, 1000))
    frames = [
        frame(ue, place, ms) for ue, every in took_ms.items() for place, ms in enumerate(every)
    ]
    cell = cell_record(visit, "made", "simulated", ())
    return judged(objective(slo), "a", 10, 0, measured_visit(cell, frames), ())


def frame(ue: str, place: int, ms: float | None) -> FrameRecord:
    due = int(place * EVERY_MS * NS_PER_MS)
    told = {"attempt": "made", "ue": ue, "frame": place, "due_ns": due}
    if ms is None:
        gone = {"outcome": "dropped_source", "stages": [], "done_ns": due}
        return FrameRecord.from_plain(told | gone)
    end = due + int(ms * NS_PER_MS)
    came = {"outcome": "ok", "start_ns": due, "done_ns": end, "stages": [["part1", due, end]]}
    return FrameRecord.from_plain(told | came)


def crowd(worst: Sequence[float | None]) -> dict[str, Sequence[float | None]]:
    """Of 32 UEs the seventh has these, all others frames of 10 ms."""
    every: dict[str, Sequence[float | None]] = {f"ue-{n}": [10.0] * len(worst) for n in range(32)}
    return every | {"ue-7": worst}


def test_all_ues_alike_hold() -> None:
    found = trial("e2e_p95<50ms,response_p95<50ms", crowd([20.0] * 60))
    assert found.held
    assert found.times_ms == pytest.approx({"e2e_p95": 20, "response_p95": 20})


@pytest.mark.parametrize("time", ["e2e_p95", "response_p95", "e2e_mean"])
def test_one_ue_of_many_that_is_slow_breaks_a_limit(time: str) -> None:
    found = trial(f"{time}<50ms", crowd([80.0] * 60))
    assert not found.held and found.broken == (time,)
    assert found.why == f"ue-7: {time} is 80 ms"
    assert found.times_ms == pytest.approx({time: 80})


def test_one_ue_of_many_may_lose_no_more_than_all() -> None:
    found = trial("e2e_mean<50ms", crowd([None] * 5 + [10.0] * 95))
    assert found.broken == (LOST,)
    assert found.why == "ue-7: of 100 frames 5 dropped at the source (5.0%)"
    assert found.lost_pct is not None and found.lost_pct < 1  # of all frames


def test_the_one_ue_needs_no_name() -> None:
    found = trial("e2e_mean<50ms", {"": [80.0] * 60})
    assert found.why == "e2e_mean is 80 ms"
