"""Queues that are simulated wait as long as their closed forms say."""

import numpy as np
import pytest

from orchestrator.plan.load.queueing import Drop, Floats, Passed, Source, departures, passed

FRAMES = 1_000_000
SERVICE = 1.0


def due(rate: float, seed: int, count: int = FRAMES) -> Floats:
    return np.cumsum(np.random.default_rng(seed).exponential(1 / rate, count))


@pytest.mark.parametrize("load", [0.3, 0.6, 0.8])
def test_a_server_that_takes_each_as_long_waits_as_pollaczek_and_khinchine_say(load: float) -> None:
    arrivals = due(load, seed=1)
    times = departures(arrivals, np.full(FRAMES, SERVICE)) - arrivals
    assert times.mean() == pytest.approx(SERVICE * (1 + load / (2 * (1 - load))), rel=0.05)


@pytest.mark.parametrize("load", [0.3, 0.6, 0.8])
def test_a_server_of_chance_has_exponential_times(load: float) -> None:
    arrivals = due(load, seed=2)
    service = np.random.default_rng(3).exponential(SERVICE, FRAMES)
    times = departures(arrivals, service) - arrivals
    mean = SERVICE / (1 - load)
    assert times.mean() == pytest.approx(mean, rel=0.05)
    assert np.quantile(times, 0.99) == pytest.approx(mean * np.log(100), rel=0.05)


def test_frame_by_frame_is_the_recursion_without_its_loop() -> None:
    arrivals = due(0.7, seed=4, count=2000)
    made = passed(arrivals, [np.array([SERVICE])], np.array([0.0]), Source(in_flight=2000))
    assert made.done[0] == pytest.approx(departures(arrivals, np.full(2000, SERVICE)))


def test_two_stages_wait_as_the_slower_one_alone() -> None:
    # behind a server that takes each as long, a faster one has no queue
    arrivals = due(0.7, seed=5, count=5_000)
    slow, fast = np.array([SERVICE]), np.array([SERVICE / 2])
    made = passed(arrivals, [slow, fast], np.array([0.0]), Source(in_flight=len(arrivals)))
    alone = departures(arrivals, np.full(len(arrivals), SERVICE))
    assert made.done[0] == pytest.approx(alone + SERVICE / 2)


def crowded(source: Source, every: float = 0.5, count: int = 400) -> Passed:
    return passed(
        np.arange(count, dtype=np.float64) * every, [np.array([SERVICE])], np.array([0.0]), source
    )


@pytest.mark.parametrize("drop", ["newest", "oldest"])
def test_twice_what_is_carried_drops_half(drop: Drop) -> None:
    made = crowded(Source(1, most=1, drop=drop))
    assert made.dropped[0] == pytest.approx(0.5, abs=0.01)


def test_the_latest_frames_are_fresher_than_the_first_ones() -> None:
    def waited(drop: Drop, most: int) -> float:
        made = crowded(Source(1, most=most, drop=drop))
        return float(np.nanmax(made.start[0] - np.arange(400) * 0.5))

    assert waited("oldest", 1) < SERVICE
    assert waited("newest", 4) == pytest.approx(4 * SERVICE, abs=0.5)
    assert waited("oldest", 4) <= waited("newest", 4)


def test_without_drops_the_queue_grows_as_long_as_frames_come() -> None:
    made = crowded(Source(1))
    assert made.dropped[0] == 0
    assert made.start[0, -1] - 399 * 0.5 == pytest.approx(399 * 0.5)


def test_one_under_way_waits_for_its_result_and_several_overlap() -> None:
    stages, delay = [np.array([1.0]), np.array([1.0])], np.array([2.0])
    at_once = np.zeros(10)
    alone = passed(at_once, stages, delay, Source(in_flight=1)).done[0]
    together = passed(at_once, stages, delay, Source(in_flight=4)).done[0]
    assert np.diff(alone) == pytest.approx(np.full(9, 4.0))
    assert np.diff(together).mean() == pytest.approx(1.0, rel=0.05)


def test_a_link_that_is_free_is_begun_early_and_one_that_is_busy_when_it_is_free() -> None:
    stages = [np.array([1.0]), np.array([2.0])]
    early, source = [np.array([0.0]), np.array([0.5])], Source(in_flight=4)
    for every, apart in ((4.0, 4.0), (0.0, 2.0)):
        arrivals = np.arange(4, dtype=np.float64) * every
        done = passed(arrivals, stages, np.array([0.0]), source, early=early).done[0]
        assert done[0] == 2.5
        assert np.diff(done) == pytest.approx(np.full(3, apart))


def test_one_that_ends_elsewhere_is_under_way_until_its_source_has_heard() -> None:
    stages, at_once = [np.array([1.0])], np.zeros(5)
    made = passed(at_once, stages, np.array([2.0]), Source(in_flight=1), heard=np.array([3.0]))
    assert made.done[0] == pytest.approx(np.arange(5) * 6.0 + 3.0)


def test_items_are_simulated_side_by_side() -> None:
    arrivals = due(0.5, seed=6, count=500)
    stages = [np.array([0.5, 1.0, 3.0]), np.array([1.0, 0.1, 0.2])]
    source = Source(2, most=3, drop="newest")
    both = passed(arrivals, stages, np.array([0.0, 1.0, 2.0]), source)
    for item in range(3):
        own = [ms[item : item + 1] for ms in stages]
        alone = passed(arrivals, own, np.array([float(item)]), source)
        assert np.array_equal(both.done[item], alone.done[0], equal_nan=True)
