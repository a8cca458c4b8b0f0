"""Confidence intervals of medians, by the bootstrap over raw samples (Efron 1979), percentiles.

A resample of n values is n uniform draws of their ranks, so that its i-th smallest value is the one
at rank ⌊n·B⌋ with B from Beta(i, n + 1 − i): medians of resamples are drawn without resampling.

The frames of one cell follow one another. An interval tells how well they agree, not what another
run on another day would give; and the interval of 3 values, their range, holds the median in 75 %
of cases, that of 5 in 94 %.
"""

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 2000
OUTSIDE_PCT = (2.5, 97.5)
"""What lies below and above an interval of 95 %."""
MIN_VALUES = 3

Interval = tuple[float, float]
Ranks = tuple[NDArray[np.intp], NDArray[np.intp]]


def median_interval(values: Sequence[float], *, seed: int = 0) -> Interval:
    """The 95 % interval of the median; of fewer than 3 values, their range.

    Raises ValueError for no values.
    """
    if len(values) < MIN_VALUES:
        return min(values), max(values)
    return _inner(_medians(values, _ranks(len(values), seed)))


def ratio_interval(base: Sequence[float], values: Sequence[float], *, seed: int = 0) -> Interval:
    """The 95 % interval of median(values) / median(base), all positive, drawn independently."""
    drawn = np.random.default_rng(seed)
    others = _medians(values, _drawn(len(values), drawn))
    return _inner(others / _medians(base, _drawn(len(base), drawn)))


def _medians(values: Sequence[float], ranks: Ranks) -> NDArray[np.float64]:
    """Medians of bootstrap resamples."""
    ordered = np.sort(np.asarray(values, np.float64))
    below, above = ranks
    found: NDArray[np.float64] = (ordered[below] + ordered[above]) / 2
    return found


@cache
def _ranks(count: int, seed: int) -> Ranks:
    """Of so many values, the same ones each time: most cells have as many frames."""
    return _drawn(count, np.random.default_rng(seed))


def _drawn(count: int, rng: np.random.Generator) -> Ranks:
    """The ranks of the two values in the middle of each resample; of an odd number, one twice."""
    middle = (count + 1) // 2
    below = rng.beta(middle, count + 1 - middle, RESAMPLES)
    if count % 2:
        return _at(below, count), _at(below, count)
    # the draw next above, given the one below: the least of those that remain
    above = below + (1 - below) * rng.beta(1, count - middle, RESAMPLES)
    return _at(below, count), _at(above, count)


def _at(share: NDArray[np.float64], count: int) -> NDArray[np.intp]:
    return np.minimum((share * count).astype(np.intp), count - 1)


def _inner(drawn: NDArray[np.float64]) -> Interval:
    low, high = np.percentile(drawn, OUTSIDE_PCT)
    return float(low), float(high)
