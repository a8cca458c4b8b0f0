"""Intervals by the bootstrap over pictures (Efron 1979): what a metric is of pictures drawn again.

A resample is told by how often it has each picture. Pictures that follow one another in time are
drawn in blocks of about the square root of their number, as neighbours are alike (Politis and
Romano's circular blocks, 1992).
"""

from functools import cache
from math import isqrt

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

RESAMPLES = 1000
MIN_PICTURES = 20
"""Of fewer, a resample says little of pictures that were not seen: there is no interval."""
OUTSIDE_PCT = (2.5, 97.5)
"""What lies below and above an interval of 95 %."""


@cache
def resamples(pictures: int, *, is_sequence: bool = False, seed: int = 0) -> Array:
    """How often each picture is in each resample: shape (resamples, pictures), whole numbers."""
    dice = np.random.default_rng(seed)
    if not is_sequence:
        even = np.full(pictures, 1 / pictures)
        return dice.multinomial(pictures, even, RESAMPLES).astype(np.float64)
    length = isqrt(pictures)
    starts = dice.integers(pictures, size=(RESAMPLES, -(-pictures // length)))
    drawn = (starts[:, :, None] + np.arange(length)).reshape(RESAMPLES, -1)[:, :pictures]
    counts = np.zeros((RESAMPLES, pictures))
    np.add.at(counts, (np.arange(RESAMPLES)[:, None], drawn % pictures), 1)
    return counts


def mean_of(scores: Array, drawn: Array) -> Array:
    """The mean score of each resample; `scores` has one for each picture."""
    return np.asarray(drawn @ scores / drawn.sum(axis=1))


def inner(values: Array) -> tuple[float, float] | None:
    """The middle 95 % of what resamples came to; None where some of them came to nothing."""
    if not np.isfinite(values).all():
        return None
    low, high = np.percentile(values, OUTSIDE_PCT)
    return float(low), float(high)
