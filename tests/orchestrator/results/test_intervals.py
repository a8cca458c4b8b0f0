"""Intervals of medians: as resampling has them, and as wide as they have to be."""

import numpy as np
import pytest

from orchestrator.results.statistics.intervals import median_interval, ratio_interval


@pytest.mark.parametrize("count", [5, 6, 20, 101])
def test_the_interval_is_that_of_medians_of_resamples(count: int) -> None:
    rng = np.random.default_rng(count)
    values = rng.lognormal(size=count)
    medians = np.median(rng.choice(values, (10_000, count)), axis=1)
    spread = float(np.ptp(values))
    expected = np.percentile(medians, (2.5, 97.5))
    # both are drawn at random
    assert median_interval(list(values)) == pytest.approx(expected, abs=0.02 * spread)


def test_nineteen_of_twenty_intervals_hold_the_median() -> None:
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(300):
        low, high = median_interval(list(rng.normal(10, 1, 25)))
        held += low <= 10 <= high
    # 285 are expected; four standard deviations are 15
    assert 270 <= held <= 298


def test_few_values_have_their_range_and_one_has_itself() -> None:
    assert median_interval([3, 1]) == (1, 3)
    assert median_interval([3, 1, 2]) == (1, 3)
    assert median_interval([7]) == (7, 7)


def test_the_same_values_have_the_same_interval() -> None:
    values = list(np.random.default_rng(1).normal(size=30))
    assert median_interval(values) == median_interval(values[::-1])


def test_the_interval_of_a_ratio_is_about_the_ratio_of_the_medians() -> None:
    rng = np.random.default_rng(2)
    base, slower = rng.normal(100, 1, 40), rng.normal(110, 1, 40)
    low, high = ratio_interval(list(base), list(slower))
    assert 1.09 < low < np.median(slower) / np.median(base) < high < 1.11
