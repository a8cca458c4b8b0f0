"""How long a frame may take, and when a cell has been measured enough."""

import pytest

from netem.spec import symmetric
from orchestrator.ask.configuration import Configuration
from orchestrator.ask.grid import Cell
from orchestrator.ask.pace import Pace
from orchestrator.measure.limits import TimeLimits, is_stable


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


def test_a_limit_that_was_asked_for_holds_for_every_frame() -> None:
    limits = TimeLimits(result_bytes=100, frame_timeout_s=2.5)
    assert limits.frame_s(cell()) == limits.frame_s(cell(rate_mbit=1)) == 2.5


@pytest.mark.parametrize("e2e_ms", [[], [100], [100, 100]])
def test_fewer_than_three_frames_are_never_enough(e2e_ms: list[float]) -> None:
    assert not is_stable(e2e_ms)


def test_three_frames_within_5_per_cent_are_enough() -> None:
    assert is_stable([100, 102, 104.9])
    assert not is_stable([100, 102, 106])


def test_only_the_last_three_frames_count() -> None:
    assert is_stable([500, 100, 101, 102])
    assert not is_stable([100, 101, 102, 500])
