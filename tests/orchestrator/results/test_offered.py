"""What became of the frames of a load in numbers, on made-up fates; times in ms."""

import random
from collections.abc import Sequence
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.results.statistics.intervals import frames_for
from orchestrator.results.statistics.offered import (
    Fate,
    Outcome,
    by_ue,
    offered,
    response_ms,
    together,
)

MS = 1_000_000


def fate(
    due: float, start: float | None, done: float, outcome: Outcome = "ok", **more: Any
) -> Fate:
    began = None if start is None else int(start * MS)
    return Fate(outcome, int(due * MS), began, int(done * MS), **more)


def one_server(due: Sequence[float], service: Sequence[float]) -> list[Fate]:
    """A server that takes one after another (Lindley's recursion)."""
    found, free = [], 0.0
    for at, took in zip(due, service, strict=True):
        start = max(at, free)
        free = start + took
        found.append(fate(at, start, free))
    return found


def evenly(service: float) -> tuple[list[float], list[float]]:
    """Frames due every 10 ms, each of which takes so long."""
    return [10.0 * n for n in range(200)], [service] * 200


def test_response_counts_from_when_a_frame_was_due_not_from_when_it_could_begin() -> None:
    # due every 10 ms and done in 5; a stall of 1 s lets a hundred frames wait behind one
    service = [5.0] * 400
    service[100] = 1000.0
    fates = one_server([10.0 * n for n in range(400)], service)
    found = offered(fates)
    assert found.sustained  # it caught up
    assert found.response_p95_ms is not None
    assert found.response_p95_ms > 700  # each that waited counts, not one alone
    from_start = sorted((one.done_ns - (one.start_ns or 0)) / MS for one in fates)
    assert from_start[int(0.95 * 400)] == pytest.approx(5)  # what omission would have told
    assert found.schedule_error_ms == 0  # the source was not to blame


def test_a_load_within_the_capacity_is_sustained_and_has_its_percentiles() -> None:
    found = offered(one_server([10.0 * n for n in range(300)], [7.0] * 300))
    assert (found.sustained, found.why) == (True, "")
    assert found.response_ms == found.response_p95_ms == found.response_p99_ms == pytest.approx(7)
    assert found.offered_fps == pytest.approx(100)
    assert found.delivered_fps == pytest.approx(100)
    assert (found.wait_ms, found.growth) == (0, 0)


@pytest.mark.parametrize("service", [10.5, 12.0, 40.0])
def test_above_the_capacity_there_are_no_percentiles(service: float) -> None:
    found = offered(one_server([10.0 * n for n in range(300)], [service] * 300))
    assert not found.sustained
    assert "its queue grows" in found.why
    assert found.response_ms is found.response_p95_ms is found.response_p99_ms is None
    assert found.growth == pytest.approx(service / 10 - 1, rel=0.02)
    assert found.delivered_fps == pytest.approx(1e3 / service, rel=0.01)


def test_a_queue_that_is_long_now_and_then_does_not_grow() -> None:
    sustained = 0
    for seed in range(20):  # M/M/1 at 70 %
        dice, at = random.Random(seed), 0.0
        due = [at := at + dice.expovariate(0.07) for _ in range(600)]
        sustained += offered(one_server(due, [dice.expovariate(0.1) for _ in due])).sustained
    assert sustained >= 19


def test_more_lost_frames_than_are_allowed_are_not_sustained() -> None:
    ok = [fate(10 * n, 10 * n, 10 * n + 5) for n in range(300)]
    lost = [fate(one.due_ns / MS, None, one.due_ns / MS, "dropped_source") for one in ok]
    few = offered([*lost[:3], *ok[3:]])
    assert few.sustained
    more = offered([*lost[:4], *ok[4:]])
    assert more.why == "of 300 frames 4 dropped at the source"
    assert offered([*lost[:4], *ok[4:]], max_lost=0.02).sustained
    assert offered(lost).why == "none of its 300 frames came through"


def test_a_lost_frame_took_longer_than_any_other() -> None:
    ok = [fate(10 * n, 10 * n, 10 * n + 5) for n in range(1000)]
    gone = [fate(one.due_ns / MS, None, one.due_ns / MS, "error") for one in ok[:10]]
    found = offered([*gone, *ok[10:]], max_lost=0.02)
    assert found.response_p95_ms == pytest.approx(5)
    assert sorted(response_ms([*gone, *ok[10:]]))[989] == pytest.approx(5)
    assert offered([*gone, gone[0], *ok[11:]], max_lost=0.02).response_p99_ms is None


def test_a_percentile_takes_its_frames() -> None:
    for count, quantile in ((frames_for(0.95), "95"), (frames_for(0.99), "99")):
        told = f"response_p{quantile}_ms"
        one_by_one = [fate(10 * n, 10 * n, 10 * n + 5) for n in range(count)]
        assert getattr(offered(one_by_one), told) is not None
        assert getattr(offered(one_by_one[1:]), told) is None


def test_a_source_that_begins_late_though_nobody_was_before_is_told() -> None:
    fates = [fate(20 * n, 20 * n + 2, 20 * n + 9) for n in range(100)]
    assert offered(fates).schedule_error_ms == pytest.approx(2)
    busy = one_server([10.0 * n for n in range(100)], [12.0] * 100)
    assert offered(busy).schedule_error_ms == 0  # of the first: all others waited


def test_what_a_frame_waited_is_at_the_source_and_at_stations() -> None:
    fates = [fate(20 * n, 20 * n + 4, 20 * n + 19, wait_ns=3 * MS) for n in range(10)]
    assert offered(fates).wait_ms == pytest.approx(7)


def test_each_ue_has_its_own_numbers() -> None:
    of_a = [fate(10 * n, 10 * n, 10 * n + 5, ue="ue-1") for n in range(100)]
    of_b = [fate(10 * n, 10 * n, 10 * n + 8, ue="ue-2") for n in range(50)]
    found = by_ue([*of_a, *of_b])
    assert {ue: one.offered for ue, one in found.items()} == {"ue-1": 100, "ue-2": 50}
    assert found["ue-2"].response_ms == pytest.approx(8)


def test_a_ue_that_is_starved_does_not_hide_among_the_others() -> None:
    fine = [one._replace(ue=f"ue-{n}") for n in (1, 2) for one in one_server(*evenly(5.0))]
    starved = [one._replace(ue="ue-3") for one in one_server(*evenly(15.0))]
    found = offered([*fine, *starved])
    assert found.why.startswith("ue-3: each second of the run")
    assert (found.response_ms, found.wait_ms) == (None, None)
    lost = [fate(10 * n, None, 10 * n, "dropped_edge", ue="ue-3") for n in range(3)]
    assert offered([*fine, *lost]).why == "ue-3: none of its 3 frames came through"


def test_frames_that_come_at_once_are_not_more_a_second() -> None:
    burst = [fate(1000 * (n // 8), 1000 * (n // 8), 1000 * (n // 8) + 5) for n in range(24)]
    assert offered(burst).offered_fps == pytest.approx(8)


def test_runs_of_a_load_are_told_together_and_one_that_was_not_sustained_spoils_all() -> None:
    fine = one_server([10.0 * n for n in range(200)], [5.0] * 200)
    over = one_server([10.0 * n for n in range(200)], [15.0] * 200)
    both = together([fine, fine])
    assert (both.offered, both.sustained) == (400, True)
    assert both.response_p99_ms == pytest.approx(5)  # 299 frames, of both
    assert "its queue grows" in together([fine, over]).why


@given(st.lists(st.sampled_from(get_args(Outcome)), min_size=1, max_size=200))
def test_nothing_vanishes_uncounted(outcomes: list[Outcome]) -> None:
    fates = [fate(10 * n, 10 * n, 10 * n + 5, one) for n, one in enumerate(outcomes)]
    found = offered(fates)
    assert found.offered == len(outcomes)
    assert found.offered == (
        found.done + found.late + found.dropped_source + found.dropped_edge + found.errors
    )
