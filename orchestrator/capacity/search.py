"""The search for the most that holds: a ladder from below, bisection, and runs that confirm.

    ladder     x 2 until one fails (or / 2 until one holds)
    bisection  between the last that held and the first that failed, until they are close
    settling   what failed once is tried again, until three runs say that it fails, or holds;
               what held is confirmed by five more runs, of which four must hold, or it has failed

It is asked for the next load and told whether that held; what it asks follows from what it was
told alone, so that a search is gone on with by telling it again. Nothing is measured here.
"""

import math
from collections import defaultdict
from dataclasses import dataclass
from enum import Enum, auto

CONFIRMING, MUST_HOLD = 5, 4
"""Runs after the one that held, and how many of them must hold."""
MAJORITY = 3
"""Of up to five, where the first one failed."""
WITHIN = 0.02
"""By this share the first that fails is above the last that holds, at most."""


@dataclass(frozen=True)
class Scale:
    """The loads that may be tried, from `least` to `most`, the first of them `first`.

    Numbers of UEs are `whole`; rates are told apart by the share `within`.
    """

    first: float
    least: float
    most: float
    within: float = WITHIN
    whole: bool = False

    def between(self, low: float, high: float) -> float | None:
        """One in the middle; None where both are next to each other."""
        if self.whole:
            return None if high - low <= 1 else float((low + high) // 2)
        return None if high <= low * (1 + self.within) else readable(math.sqrt(low * high))

    def above(self, low: float) -> float | None:
        """The next rung; None at the top."""
        return None if low >= self.most else readable(min(2 * low, self.most))

    def below(self, high: float) -> float | None:
        """The rung below; None at the bottom."""
        half = float(high // 2) if self.whole else readable(high / 2)
        return None if high <= self.least else max(half, self.least)


def readable(load: float) -> float:
    """To four digits: it is asked, written and found again as it stands."""
    return float(f"{load:.4g}")


class Standing(Enum):
    """What is known of a load."""

    HELD = auto()
    """It did, and is not confirmed."""
    CONFIRMED = auto()
    FAILED = auto()
    """It did, and may do so by chance."""
    REFUTED = auto()


@dataclass
class _Tried:
    """What became of the runs at one load, in order."""

    runs: list[bool]

    @property
    def standing(self) -> Standing:
        if self._first is None:
            return Standing.FAILED
        if not self.runs[self._first - 1] or self.after.count(False) > CONFIRMING - MUST_HOLD:
            return Standing.REFUTED
        return Standing.CONFIRMED if len(self.after) == CONFIRMING else Standing.HELD

    @property
    def after(self) -> list[bool]:
        """Those that are to confirm that it holds."""
        return [] if self._first is None else self.runs[self._first :][:CONFIRMING]

    @property
    def _first(self) -> int | None:
        """How many of the first runs say it: one that held, or as many as are told apart then."""
        if self.runs[0]:
            return 1
        for count in range(MAJORITY, len(self.runs) + 1):
            if MAJORITY in (self.runs[:count].count(True), self.runs[:count].count(False)):
                return count
        return None


class Search:
    """One search over a scale, as far as it was told."""

    def __init__(self, scale: Scale) -> None:
        self._scale = scale
        self._tried: dict[float, _Tried] = defaultdict(lambda: _Tried([]))

    def next(self) -> float | None:
        """The load to try; None when all is known."""
        low, high = self.last_passing, self.first_failing
        if low is None and high is None:
            return self._scale.first
        if high is None:
            assert low is not None
            return self._scale.above(low) or self._unsettled(low)
        if low is None:
            return self._scale.below(high) or self._unsettled(high)
        return self._scale.between(low, high) or self._unsettled(high) or self._unsettled(low)

    def tell(self, load: float, *, held: bool) -> None:
        """What became of a run at this load."""
        self._tried[load].runs.append(held)

    @property
    def last_passing(self) -> float | None:
        """The most that held, below all that failed; confirmed, once `next` has no more to ask."""
        most = self.first_failing
        held = [load for load in self._tried if self._holds(load)]
        return max((load for load in held if most is None or load < most), default=None)

    @property
    def first_failing(self) -> float | None:
        """The least that failed; None where none did."""
        return min((load for load in self._tried if not self._holds(load)), default=None)

    def runs(self, load: float) -> tuple[bool, ...]:
        """Which of the runs at this load held, in order."""
        return tuple(self._tried[load].runs) if load in self._tried else ()

    def confirming(self, load: float) -> tuple[bool, ...]:
        """Which of those that were to confirm it held."""
        return tuple(self._tried[load].after[:CONFIRMING])

    def _holds(self, load: float) -> bool:
        return self._tried[load].standing in (Standing.HELD, Standing.CONFIRMED)

    def _unsettled(self, load: float) -> float | None:
        known = self._tried[load].standing in (Standing.CONFIRMED, Standing.REFUTED)
        return None if known else load
