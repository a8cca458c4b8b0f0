"""Intervals of medians and percentiles: that they hold what they are of as often as they say."""

import math
from collections.abc import Callable
from dataclasses import astuple

import numpy as np
import pytest
from numpy.typing import NDArray

from orchestrator.results.statistics.intervals import (
    Interval,
    at_most,
    coverage,
    frames_for,
    median_interval,
    quantile_interval,
    ranks_of,
)

Draw = Callable[[np.random.Generator, tuple[int, int]], NDArray[np.float64]]
SAMPLES = 4000

# a distribution of frames' times, and its median
NORMAL: tuple[Draw, float] = (lambda rng, size: rng.normal(10, 1, size), 10)
SKEWED: tuple[Draw, float] = (lambda rng, size: rng.lognormal(1, 1, size), math.e)
BIMODAL: tuple[Draw, float] = (
    lambda rng, size: np.where(rng.random(size) < 0.5, 10, 20) + rng.uniform(-1, 1, size),
    15,  # half of all times lie below any time between the two
)


@pytest.mark.parametrize("count", [6, 10, 30])
@pytest.mark.parametrize("drawn", [NORMAL, SKEWED, BIMODAL], ids=["normal", "skewed", "bimodal"])
def test_an_interval_holds_the_median_as_often_as_it_says(
    drawn: tuple[Draw, float], count: int
) -> None:
    draw, median = drawn
    samples = draw(np.random.default_rng(count), (SAMPLES, count))
    found = [median_interval(sample.tolist()) for sample in samples]
    held = sum(one.low <= median <= one.high for one in found) / SAMPLES
    says = found[0].coverage
    assert says is not None
    assert says >= 0.95
    assert held == pytest.approx(says, abs=4 * math.sqrt(says * (1 - says) / SAMPLES))


@pytest.mark.parametrize("quantile", [0.25, 0.5, 0.9])
def test_the_ranks_are_those_of_the_quantile_test(quantile: float) -> None:
    from scipy.stats import quantile_test

    for count in range(1, 150):
        told = quantile_test(np.arange(1.0, count + 1), p=quantile).confidence_interval(0.95)
        expected = None if math.isnan(told.low + told.high) else (told.low, told.high)
        assert ranks_of(count, quantile) == expected


@pytest.mark.parametrize("chance", [0.001, 0.5, 0.99])
@pytest.mark.parametrize("count", [0, 1, 60, 20_000])
def test_chances_are_those_of_the_binomial_distribution(count: int, chance: float) -> None:
    from scipy.special import bdtr

    expected = bdtr(np.arange(count + 1.0), count, chance)
    assert at_most(count, chance) == pytest.approx(expected, rel=1e-8, abs=1e-300)


def test_five_values_have_their_range_and_six_an_interval() -> None:
    assert median_interval([3, 1, 2, 5, 4]) == Interval(1, 5, None)
    assert astuple(median_interval([3, 1, 2, 5, 4, 6])) == pytest.approx((1, 6, 1 - 2 / 2**6))
    assert median_interval([3, 1, 2, 5, 4]).words(5) == "range of 5"
    assert median_interval([3, 1, 2, 5, 4, 6]).words(6) == "96.9 %"
    assert median_interval([7]) == Interval(7, 7, None)


def test_the_coverage_of_an_interval_is_that_of_its_ranks() -> None:
    # of 9 values, the second to the eighth: all but 2 · (1 + 9) of 2^9 cases
    assert astuple(median_interval(list(range(1, 10)))) == pytest.approx((2, 8, 1 - 20 / 2**9))
    assert coverage(5) is None


def test_a_percentile_has_no_interval_of_few_values() -> None:
    assert quantile_interval(list(range(50)), 0.95).coverage is None
    assert quantile_interval(list(range(200)), 0.95).coverage == pytest.approx(0.95, abs=0.025)


@pytest.mark.parametrize(("quantile", "frames"), [(0.95, 59), (0.99, 299), (0.5, 5)])
def test_a_percentile_takes_as_many_frames_as_bound_it_from_above(
    quantile: float, frames: int
) -> None:
    assert frames_for(quantile) == frames
    assert 1 - quantile**frames >= 0.95 > 1 - quantile ** (frames - 1)
