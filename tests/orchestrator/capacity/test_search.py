"""The search finds what a server of known capacity carries."""

from collections.abc import Callable

import numpy as np
import pytest

from orchestrator.capacity.search import Scale, Search
from orchestrator.plan.load.queueing import departures

SERVICE_S = 0.01
FRAMES = 60_000
TRIES = 20
RATES = Scale(first=5, least=1, most=10_000)


def searched(scale: Scale, holds: Callable[[float], bool], most: int = 200) -> Search:
    search = Search(scale)
    for _ in range(most):
        if (load := search.next()) is None:
            return search
        search.tell(load, held=holds(load))
    raise AssertionError("the search does not end")


def server(seed: int, limit_s: float, *, chance: bool) -> Callable[[float], bool]:
    """Whether the mean response at a rate is below the limit, of a server with a queue."""
    dice = np.random.default_rng(seed)

    def holds(rate: float) -> bool:
        arrivals = np.cumsum(dice.exponential(1 / rate, FRAMES))
        service = dice.exponential(SERVICE_S, FRAMES) if chance else np.full(FRAMES, SERVICE_S)
        return bool((departures(arrivals, service) - arrivals).mean() < limit_s)

    return holds


@pytest.mark.parametrize("seed", range(TRIES))
def test_a_server_that_takes_each_as_long_carries_what_its_closed_form_says(seed: int) -> None:
    limit_s = 3 * SERVICE_S  # 1 + load / (2 (1 - load)) = 3 at a load of 0.8
    found = searched(RATES, server(seed, limit_s, chance=False))
    assert found.last_passing == pytest.approx(0.8 / SERVICE_S, rel=0.03)


@pytest.mark.parametrize("seed", range(TRIES))
def test_a_server_of_chance_carries_what_its_closed_form_says(seed: int) -> None:
    limit_s = 3 * SERVICE_S  # 1 / (1 - load) = 3 at a load of 2/3
    found = searched(RATES, server(seed, limit_s, chance=True))
    assert found.last_passing == pytest.approx(2 / 3 / SERVICE_S, rel=0.03)


@pytest.mark.parametrize("seed", range(TRIES))
def test_a_run_of_twenty_that_fails_by_chance_changes_little(seed: int) -> None:
    dice = np.random.default_rng(seed)
    found = searched(RATES, lambda rate: rate < 80 and dice.random() > 0.05)
    assert found.last_passing == pytest.approx(80, rel=0.08)


def test_a_pass_by_chance_is_not_confirmed() -> None:
    lucky = iter([True])
    found = searched(RATES, lambda rate: rate < 50 or next(lucky, False))
    assert found.last_passing == pytest.approx(50, rel=0.03)
    assert found.first_failing is not None and found.first_failing >= 50


def test_a_failure_by_chance_is_tried_again() -> None:
    unlucky = iter([False])
    found = searched(RATES, lambda rate: rate < 50 and (rate != 20 or next(unlucky, True)))
    assert found.last_passing == pytest.approx(50, rel=0.03)


def test_both_ends_are_close_and_settled() -> None:
    found = searched(RATES, lambda rate: rate < 77)
    low, high = found.last_passing, found.first_failing
    assert low is not None and high is not None
    assert low < 77 <= high <= low * 1.02
    assert found.runs(low) == (True,) * 6
    assert found.runs(high) == (False,) * 3


def test_whole_numbers_are_next_to_each_other() -> None:
    found = searched(Scale(1, 1, 32, whole=True), lambda ues: ues <= 11)
    assert (found.last_passing, found.first_failing) == (11, 12)


def test_all_that_may_be_asked_holds() -> None:
    found = searched(Scale(1, 1, 32, whole=True), lambda ues: True)
    assert (found.last_passing, found.first_failing) == (32, None)


def test_nothing_holds() -> None:
    found = searched(RATES, lambda rate: False)
    assert (found.last_passing, found.first_failing) == (None, 1)


def test_what_holds_below_the_first_rung_is_found() -> None:
    found = searched(RATES, lambda rate: rate < 1.7)
    assert found.last_passing == pytest.approx(1.7, rel=0.03)


def test_a_search_goes_on_from_what_it_was_told() -> None:
    dice = np.random.default_rng(7)
    told: list[tuple[float, bool]] = []

    def holds(rate: float) -> bool:
        told.append((rate, bool(rate < 60 and dice.random() > 0.1)))
        return told[-1][1]

    whole = searched(RATES, holds)
    again = Search(RATES)
    for load, held in told:
        assert again.next() == load
        again.tell(load, held=held)
    assert again.next() is None and again.last_passing == whole.last_passing
