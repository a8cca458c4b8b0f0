"""When the frames of a cell tell its median."""

from collections.abc import Sequence
from statistics import median

from orchestrator.results.statistics.intervals import coverage, median_interval

AGREEING = 0.005
"""Frames too few for an interval are enough when all lie within this share of their median …"""
NEAR = 0.02
"""… more of them when its interval does, …"""
STOPPING_COVERAGE = 0.99
"""… one that covers so much, or is all that there is: who stops where it is narrow has chosen, and
the interval of 95 % that is then told would hold the median in fewer cases (intervals.py)."""


def is_enough(e2e_ms: Sequence[float]) -> bool:
    """Whether so many frames tell the median. Raises ValueError for none."""
    middle, ends = median(e2e_ms), median_interval(e2e_ms, STOPPING_COVERAGE)
    share = AGREEING if coverage(len(e2e_ms)) is None else NEAR
    return max(middle - ends.low, ends.high - middle) <= share * middle
