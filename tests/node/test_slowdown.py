"""Work that takes so many times as long as by itself, on the machine's own clock."""

import itertools
import time
from collections.abc import Callable

import pytest

from splitbed.node import slowdown
from splitbed.node.slowdown import steered, stretched
from tests.shared_machine import within

pytestmark = pytest.mark.measures


@pytest.fixture(autouse=True)
def short_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slowdown, "_BLOCK_S", 0.03)


def working(ms: float) -> Callable[[], None]:
    """What takes about as long however busy the machine is."""
    return lambda: time.sleep(ms / 1e3)


@pytest.mark.parametrize("ms", [0.3, 30.0])
def test_a_stage_takes_so_many_times_its_own_time(ms: float) -> None:
    def times() -> float:
        start_s = time.monotonic()
        with stretched(4):
            working(ms)()
            own_s = time.monotonic() - start_s
        return (time.monotonic() - start_s) / own_s

    within(3.6, times, 4.4)  # what starts and ends it is its own, too


def test_the_pace_of_a_part_is_within_a_tenth_of_what_was_asked() -> None:
    within(3.6, lambda: steered(working(30), 4)[1].times, 4.4)


def test_what_is_slower_than_it_is_made_to_be_is_steered() -> None:
    """Work that takes half as long again when it is to be slowed: stretched by 4 it takes 6."""
    calls = iter(range(1_000))

    def work() -> None:
        time.sleep(0.015 if next(calls) % 2 else 0.010)

    within(3.6, lambda: steered(work, 4)[1].times, 4.4)
    assert steered(work, 4)[0] < 3.5


def test_what_cannot_be_steered_gives_what_was_measured() -> None:
    """Work that is five times as long when it is to be slowed: no wait does that to a part."""
    calls = iter(range(1_000))

    def work() -> None:
        time.sleep(0.010 if next(calls) % 2 else 0.002)

    times, found = steered(work, 2)
    assert times == pytest.approx(2 / 1.5)
    assert found.times > 2.2


def test_runs_that_do_not_agree_correct_nothing() -> None:
    """As where others use the processors now and then: half of the runs are three times as long."""
    lengths_ms = itertools.cycle([2, 2, 6, 2, 2, 6, 6, 6])
    times, _ = steered(lambda: time.sleep(next(lengths_ms) / 1e3), 4)
    assert times == 4
