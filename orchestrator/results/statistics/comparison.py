"""Whether two cells' frames take different times, by pairs of frames, and many such questions.

The i-th frames of both are a pair: of the same inputs in the same order they share what the input
costs; of others the pairing costs precision, not honesty. What is judged is log(b / a).

From 6 pairs on the interval is the one of the median by order statistics (the sign test; exact for
skewed and bimodal times, too); of 2 to 5, Student's t of the mean, which takes the logs for normal.
Below 24 pairs the least p of the sign test is too coarse for many questions at once: p is Student's
there, and the interval has to exclude 1 as well.

Both take frames to be independent, and cells to differ by their frames alone. Neither is so: errors
are widened by DEPENDENT, and never less than those of CELL_SHARE and CELL_MS. So three frames that
agree by chance, or by a coarse clock, are not sure of what they say. The medians of blocks have in
them by how much cells differ from run to run, and are as they are.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

import numpy as np

from orchestrator.results.statistics.intervals import COVERAGE, Array, at_most, median_interval

MIN_SIGN_PAIRS = 6
"""Of fewer, not even the range of the ratios covers their median in 95 % of cases."""
FINE_SIGN_PAIRS = 24
FOLLOWING = 0.3
"""How a frame follows the one before (lag-1 correlation): less in 3 of 4 cells of real runs …"""
DEPENDENT = math.sqrt((1 + FOLLOWING) / (1 - FOLLOWING))
"""… which makes the error of a median or mean so many times as large (Bartlett 1946)."""
CELL_SHARE = 0.005
"""By so much two cells differ besides, as a standard deviation, however many frames they have …"""
CELL_MS = 1.0
"""… and by so much each: where its threads and pages lie makes a cell of milliseconds slower for as
long as it lasts (here 0.4 to 1.3 ms over six runs, of 12 cells of 4 to 1000 ms)."""
_Z = NormalDist().inv_cdf((1 + COVERAGE) / 2)
POWER = 0.8
MAX_MORE = 10_000
"""More frames than these are not asked for."""


Counted = Literal["frame", "block"]
"""What is paired: a frame of each, or the median of a block of each."""


@dataclass(frozen=True)
class Difference:
    """What `b` takes over what `a` takes, pair by pair, with its interval of 95 % or more."""

    ratio: float
    low: float
    high: float
    pairs: int
    p: float
    """That the ratio is `against`."""
    spread: float
    """Standard deviation of log(b / a) over the pairs."""
    against: float = 1.0
    besides: float = CELL_SHARE
    of: Counted = "frame"

    @property
    def by(self) -> str:
        """What the interval rests on."""
        return "sign test" if self.pairs >= MIN_SIGN_PAIRS else f"Student's t of {self.pairs} pairs"

    @property
    def tells(self) -> bool:
        """Whether the interval of this comparison alone excludes `against`."""
        return not self.low <= self.against <= self.high

    def around(self, ratio: float) -> tuple[float, float]:
        """The interval, with another measure of the ratio in it, as that of two medians."""
        return min(self.low, ratio), max(self.high, ratio)

    def more_to_tell(self, level: float = 1 - COVERAGE) -> int | None:
        """About how many pairs more would tell them apart; None for more than MAX_MORE.

        If ratio and spread stay what they are, in 80 % of cases: n = ((z(1 - level / 2) + z(0.8))
        · DEPENDENT · sqrt(π / 2) · spread / log ratio)², where sqrt(π / 2) is what a median costs
        over a mean; blocks are independent. None, too, for what is within the error of `besides`.
        """
        apart = abs(math.log(self.ratio / self.against))
        z_level = NormalDist().inv_cdf(1 - level / 2)
        if apart <= z_level * self.besides:
            return None
        z = z_level + NormalDist().inv_cdf(POWER)
        error = _wider(self.of) * math.sqrt(math.pi / 2) * self.spread
        needed = max(MIN_SIGN_PAIRS, (z * error / apart) ** 2)
        more = max(1, math.ceil(needed - self.pairs))
        return more if more <= MAX_MORE else None


def difference(
    a: Sequence[float],
    b: Sequence[float],
    of: Counted = "frame",
    *,
    against: float = 1.0,
    besides: float = CELL_SHARE,
    cell_ms: float = CELL_MS,
) -> Difference | None:
    """The difference of two samples of times in ms, all positive; of fewer than 2 pairs, None.

    What is asked is whether b takes other than `against` times what a does; `besides` is the share,
    `cell_ms` the time by which cells differ however many frames they have, 0 for who deals with
    that by itself.
    """
    pairs = min(len(a), len(b))
    if pairs < 2:
        return None
    logs = np.log(np.asarray(b, np.float64)[:pairs] / np.asarray(a, np.float64)[:pairs])
    beyond = logs - math.log(against)
    times_ms = against * float(np.median(a)), float(np.median(b))
    away, toward = _of_cells(*times_ms, besides, cell_ms) if of == "frame" else (0.0, 0.0)
    wider, besides = _wider(of), toward / _Z
    p, low, high = student(beyond, wider)
    middle = float(np.mean(beyond))
    if pairs >= MIN_SIGN_PAIRS:
        ends = median_interval(beyond.tolist())
        middle = float(np.median(beyond))
        low, high = (middle + wider * (end - middle) for end in (ends.low, ends.high))
    if pairs >= FINE_SIGN_PAIRS:
        p = _sign_p(beyond, wider)
    if besides:
        below, above = (toward, away) if middle > 0 else (away, toward)
        low, high = min(low, middle - below), max(high, middle + above)
        p = max(p, 2 * NormalDist(sigma=besides).cdf(-abs(middle)))
    ratio, from_, to = (against * math.exp(log) for log in (middle, low, high))
    spread = float(np.std(logs, ddof=1))
    return Difference(ratio, from_, to, pairs, p, spread, against, besides, of)


def _of_cells(a_ms: float, b_ms: float, share: float, cell_ms: float) -> tuple[float, float]:
    """By how much cells shift the log ratio of two times: away from 0, and towards it.

    The latter is less where one takes no longer than cells differ by: with 1 ms more it is still
    faster than what takes 50.
    """
    small, big = sorted((a_ms, b_ms))
    away = _Z * math.hypot(share, cell_ms / small, cell_ms / big)
    reach_ms = _Z * cell_ms / math.sqrt(2)
    if big <= reach_ms:
        return away, away
    shift = math.log(big / small) - math.log((big - reach_ms) / (small + reach_ms))
    return away, min(away, math.hypot(_Z * share, shift))


def holm(p_values: Sequence[float]) -> list[float]:
    """The same, corrected for their number (Holm 1979), in their order.

    Of those at most 0.05, one is wrong in 5 % of cases at most, however many were asked.
    """
    corrected, least = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        least = max(least, min(1.0, (len(p_values) - rank) * p_values[place]))
        corrected[place] = least
    return corrected


def student(logs: Array, wider: float = 1.0) -> tuple[float, float, float]:
    """The p and the interval of a mean of 0; of logs that are all the same, the mean alone.

    The error is taken to be `wider` times as large as that of independent ones.
    """
    from scipy.special import stdtr, stdtrit  # takes a while to import

    degrees = len(logs) - 1
    mean, spread = float(np.mean(logs)), float(np.std(logs, ddof=1))
    error = wider * spread / math.sqrt(len(logs))
    if error == 0:
        return (1.0 if mean == 0 else 0.0), mean, mean
    half = float(stdtrit(degrees, (1 + COVERAGE) / 2)) * error
    return 2 * float(stdtr(degrees, -abs(mean) / error)), mean - half, mean + half


def _wider(of: Counted) -> float:
    """Blocks are measured in random orders: they do not follow one another."""
    return DEPENDENT if of == "frame" else 1.0


def _sign_p(logs: Array, wider: float) -> float:
    """Of as many pairs as would be independent; ties tell nothing and are left out."""
    above, below = (int(np.sum(side) / wider**2) for side in (logs > 0, logs < 0))
    return min(1.0, 2 * float(at_most(above + below, 0.5)[min(above, below)]))
