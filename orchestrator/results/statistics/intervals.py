"""Exact intervals of medians and other percentiles, by order statistics.

The r-th least to the s-th least of n values hold the quantile q in P(r <= B < s) of cases, B from
the binomial distribution of n and q, whatever the values are distributed as (David and Nagaraja,
Order Statistics, 7.1). These are the intervals of `scipy.stats.quantile_test`, whose import takes
seconds. Of fewer than 6 values no two hold the median in 95 % of cases: then there is a range.

The frames of one cell follow one another. An interval tells how well they agree, not what another
run on another day would give. A cell that ends when its frames are enough was looked at often, and
ends where they happen to agree: its interval holds the median in up to 1.4 % of cases fewer than is
right for its count, and in 95 % or more (simulated: normal, skewed, two modes, long tails). Frames
that go with the ones before are fewer than they seem: at a correlation of 0.3 it is in 90 %, at 0.6
in 75 %.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

COVERAGE = 0.95
"""What an interval covers at least."""


@dataclass(frozen=True)
class Interval:
    """`coverage` is in how many cases of 1 it holds what it is of; None for a mere range."""

    low: float
    high: float
    coverage: float | None

    def words(self, count: int) -> str:
        """What it is, of so many values: 96.9 %, or range of 3."""
        return f"range of {count}" if self.coverage is None else f"{100 * self.coverage:.1f} %"


def median_interval(values: Sequence[float], least: float = COVERAGE) -> Interval:
    """The interval of the median that covers `least`; of fewer than 6 values for 95 %, their range.

    Raises ValueError for no values.
    """
    return quantile_interval(values, 0.5, least)


def quantile_interval(
    values: Sequence[float], quantile: float, least: float = COVERAGE
) -> Interval:
    """That of a quantile from 0 to 1, from both sides; else the range of the values.

    Raises ValueError for no values.
    """
    ranks = ranks_of(len(values), quantile, least)
    if ranks is None:
        return Interval(min(values), max(values), None)
    ordered, covers = sorted(values), coverage(len(values), quantile, least)
    return Interval(ordered[ranks[0] - 1], ordered[ranks[1] - 1], covers)


def coverage(count: int, quantile: float = 0.5, least: float = COVERAGE) -> float | None:
    """In how many cases of 1 an interval of so many values holds the quantile; None for a range."""
    if (ranks := ranks_of(count, quantile, least)) is None:
        return None
    below, above = at_most(count, quantile)[np.array(ranks) - 1]
    return float(above - below)


@cache
def ranks_of(count: int, quantile: float = 0.5, least: float = COVERAGE) -> tuple[int, int] | None:
    """Which of so many values in order, from 1, are the ends of an interval; None for too few."""
    chances = at_most(count, quantile)[:count]
    tail = (1 - least) / 2
    low = int(np.searchsorted(chances, tail, side="right"))
    high = int(np.searchsorted(chances, 1 - tail, side="left")) + 1
    return (low, high) if low >= 1 and high <= count else None


def at_most(count: int, chance: float) -> Array:
    """How likely at most 0, 1, … up to `count` of so many come, each by a chance within 0 and 1.

    As `scipy.special.bdtr`, whose import takes as long as all else that a small sweep computes.
    """
    number = np.arange(count + 1)
    log_ways = np.append(0.0, np.cumsum(np.log((count - number[:-1]) / number[1:])))
    logs = log_ways + number * math.log(chance) + (count - number) * math.log1p(-chance)
    found: Array = np.minimum(np.cumsum(np.exp(logs)), 1.0)
    return found


def frames_for(quantile: float) -> int:
    """Of how many values the largest is above the quantile in 95 % of cases: 59 for 0.95.

    The least number that gives a percentile an upper bound.
    """
    return math.ceil(math.log(1 - COVERAGE) / math.log(quantile))
