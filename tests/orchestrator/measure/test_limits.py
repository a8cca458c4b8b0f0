"""How long a frame may take, and when a cell has been measured enough."""

from collections.abc import Sequence

import pytest

from netem.spec import symmetric
from orchestrator.ask.configuration import Configuration
from orchestrator.ask.pace import Pace
from orchestrator.ask.sweep.cell import Cell
from orchestrator.measure.frames import Taken, UntilEnough
from orchestrator.measure.time_limits import TimeLimits, arrival_s
from orchestrator.results.records import FrameRecord
from orchestrator.results.statistics.enough_frames import is_enough
from splitbed.timeline import NS_PER_MS, Stage


def taken(e2e_ms: float) -> Taken:
    stages = [Stage("part1", 0, int(e2e_ms * NS_PER_MS))]
    record = FrameRecord(
        attempt="here", input=0, frame=0, e2e_ms=e2e_ms, stages=tuple(stages), results={},
        intermediate_tensors=1, intermediate_bytes=1, encoded_bytes=1, result_bytes=1,
    )  # fmt: skip
    return Taken(cell(), record, stages, e2e_ms)


def cell(rate_mbit: float = 20, loss_pct: float = 0, pace: Pace | None = None) -> Cell:
    link = symmetric(rate_mbit=rate_mbit, loss_pct=loss_pct)
    return Cell(Configuration(1, 2, "here", "raw", link, pace or Pace()), 1_000_000)


def test_a_frame_may_take_longer_where_its_link_or_its_ue_is_slower() -> None:
    limits = TimeLimits(result_bytes=100, frame_timeout_s=None)
    usual_s = limits.frame_s(cell())
    assert limits.frame_s(cell(rate_mbit=1)) > usual_s + 4 * 7
    assert limits.frame_s(cell(loss_pct=1)) > usual_s
    assert limits.frame_s(cell(pace=Pace(slowdown=10))) > 9 * usual_s
    assert TimeLimits(100, None, outage_s=60).frame_s(cell()) > usual_s + 60


@pytest.mark.parametrize(("nbytes", "rate_mbit"), [(2 * 10**9, 100), (10**9, 5), (10**6, 0.1)])
def test_what_is_delivered_has_the_time_of_its_bytes_at_its_rate(
    nbytes: int, rate_mbit: float
) -> None:
    limits, asked = TimeLimits(result_bytes=100, frame_timeout_s=None), cell(rate_mbit)
    on_the_wire_s = nbytes * 8 / (rate_mbit * 1e6)
    for allowed_s in (
        limits.delivery_s(asked, nbytes) - limits.delivery_s(asked, 0),
        arrival_s(symmetric(rate_mbit=rate_mbit), nbytes),
        arrival_s(symmetric(rate_mbit=rate_mbit), nbytes, nbytes) - nbytes / 1e6,
    ):
        assert 2 * on_the_wire_s < allowed_s < 10 * on_the_wire_s + 60 + nbytes / 1e6


def test_a_limit_that_was_asked_for_holds_for_every_frame() -> None:
    limits = TimeLimits(result_bytes=100, frame_timeout_s=2.5)
    assert limits.frame_s(cell()) == limits.frame_s(cell(rate_mbit=1)) == 2.5


def test_of_several_under_way_only_what_is_on_the_link_before_a_frame_is_waited_for() -> None:
    limits, own = TimeLimits(result_bytes=100, frame_timeout_s=None), cell(rate_mbit=1)
    assert limits.frame_s(own, 63) > limits.frame_s(own) + 63 * 8
    # a link that is dead is known to be so as soon, however many wait for it
    fast = cell(rate_mbit=1000)
    assert limits.frame_s(fast, 63) < 2 * limits.frame_s(fast)
    assert TimeLimits(100, frame_timeout_s=2.5).frame_s(own, 63) == 2.5


def frames_of(e2e_ms: Sequence[float], every: int = 3, most: int = 15) -> int:
    """How many frames a cell has that take so long, then 1000 ms and 1 ms by turns."""
    choosing = UntilEnough(cell(), every, most)
    times = [*e2e_ms, *[1000.0, 1.0] * most]
    count = 0
    while choosing.next() is not None:
        choosing.tell(taken(times[count]))
        count += 1
    return count


@pytest.mark.parametrize(
    ("e2e_ms", "enough"),
    [
        ([1000, 1000, 1004.9], True),
        ([1000, 1000, 1005.1], False),
        ([995.1, 1000, 1004.9], True),
        ([994.9, 1000, 1000], False),
        ([1000, 1000, 1000, 1000, 1005.1], False),
        ([1000] * 5 + [1019.9], True),
        ([1000] * 5 + [1020.1], False),
        ([980.1] + [1000] * 5, True),
        ([979.9] + [1000] * 5, False),
        ([900] + [1000] * 8 + [1100], False),
        ([900] + [1000] * 9 + [1100], False),
        ([900] + [1000] * 10 + [1100], True),
        ([900] * 2 + [1000] * 8 + [1100] * 2, False),
    ],
)
def test_3_frames_are_enough_within_half_a_per_cent_and_6_with_an_interval_within_2(
    e2e_ms: list[float], enough: bool
) -> None:
    assert is_enough(e2e_ms) == is_enough(e2e_ms[::-1]) == enough


def test_a_cell_is_looked_at_after_whole_rounds_of_its_inputs_and_ends_at_the_most() -> None:
    alike = [1000.0] * 15
    assert frames_of(alike) == 3
    assert frames_of(alike, every=4) == 4
    assert frames_of([1000, 1000, 1010, 1000]) == 15
    assert frames_of([1000, 1000, 1010, 1000, 1000, 1000]) == 6
    assert frames_of([1000, 1000, 1030, *alike]) == 12
    assert frames_of([], most=5) == 5
    assert frames_of(alike, every=9, most=9) == 9
