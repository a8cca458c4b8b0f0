"""How far a node's clock is ahead of the user's over a cell.

:mod:`orchestrator.testbed.nodes.clocks` reads the clocks.
"""

import time
from bisect import bisect_right
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Self

from splitbed.timeline import NS_PER_MS

MAX_RATE_PPM = 500
"""Clocks run apart no faster than this: what NTP may pull (Linux's MAXFREQ); quartz does 100."""


WANDER_PPM = 20
"""By how much the rate may change between two readings: temperature, and NTP at work."""


@dataclass(frozen=True)
class Offset:
    """A clock is ahead of another by `low_ns` to `high_ns` when that other says `at_ns`.

    `rtt_ns` is the shortest round trip of the `exchanges` that say so.
    """

    at_ns: int
    low_ns: int
    high_ns: int
    rtt_ns: int
    exchanges: int

    @property
    def offset_ns(self) -> int:
        """The middle, which is off by `uncertainty_ns` at most."""
        return (self.low_ns + self.high_ns) // 2

    @property
    def uncertainty_ns(self) -> int:
        """Half of the width, rounded up."""
        return -((self.low_ns - self.high_ns) // 2)

    def at(self, at_ns: int) -> Self:
        """The same at another moment; what may have changed since makes it less sure."""
        change_ns = -(-abs(at_ns - self.at_ns) * MAX_RATE_PPM // 10**6)
        low_ns, high_ns = self.low_ns - change_ns, self.high_ns + change_ns
        return replace(self, at_ns=at_ns, low_ns=low_ns, high_ns=high_ns)


@dataclass(frozen=True)
class ClockModel:
    """How far a node is ahead of the user over the time of a cell: straight between readings.

    `readings` are at least one, in order of time, their moments on the user's clock. `origin` is
    the first one of the run, however long ago: the drift is the surer for it.
    """

    readings: tuple[Offset, ...]
    origin: Offset

    def at(self, at_ns: int) -> Offset:
        """Estimated when the user's clock says `at_ns`; outside the readings ever less sure."""
        after = bisect_right(self.readings, at_ns, key=lambda reading: reading.at_ns)
        if after in (0, len(self.readings)):
            return self.readings[min(after, len(self.readings) - 1)].at(at_ns)
        first, last = self.readings[after - 1 : after + 1]
        since_ns, all_ns = at_ns - first.at_ns, last.at_ns - first.at_ns
        # a line that is bent by the wander lies off the straight one by this at most
        bend_ns = -(-WANDER_PPM * since_ns * (all_ns - since_ns) // (all_ns * 10**6))
        return replace(
            first,
            at_ns=at_ns,
            low_ns=first.low_ns + (last.low_ns - first.low_ns) * since_ns // all_ns - bend_ns,
            high_ns=first.high_ns - (first.high_ns - last.high_ns) * since_ns // all_ns + bend_ns,
        )

    @property
    def uncertainty_ms(self) -> float:
        """No estimate from the first to the last reading is less sure."""
        bends_ns = (WANDER_PPM * (b.at_ns - a.at_ns) / 4e6 for a, b in pairwise(self.readings))
        at_readings_ns = max(reading.uncertainty_ns for reading in self.readings)
        return (at_readings_ns + max(bends_ns, default=0.0)) / NS_PER_MS

    @property
    def drift_ppm(self) -> tuple[float, float] | None:
        """By how much the node's clock is faster since the origin, and ± that.

        None for a single reading, and where a clock jumped since.
        """
        first, last = self.origin, self.readings[-1]
        if (elapsed_ns := last.at_ns - first.at_ns) <= 0 or jumped(first, last):
            return None
        slowest = 1e6 * (last.low_ns - first.high_ns) / elapsed_ns
        fastest = 1e6 * (last.high_ns - first.low_ns) / elapsed_ns
        return (slowest + fastest) / 2, (fastest - slowest) / 2

    @property
    def offset_ms(self) -> float:
        """Estimated at the first reading."""
        return self.readings[0].offset_ns / NS_PER_MS

    @property
    def exchanges(self) -> int:
        """How often a clock was asked."""
        return sum(reading.exchanges for reading in self.readings)

    @property
    def rtt_ms(self) -> float:
        """The shortest round trip of these."""
        return min(reading.rtt_ns for reading in self.readings) / NS_PER_MS


def jumped(one: Offset, other: Offset) -> bool:
    """Whether no clocks that only drift can have both."""
    aged = one.at(other.at_ns)
    return aged.low_ns > other.high_ns or aged.high_ns < other.low_ns


def own_epoch_ns() -> int:
    """What to add to this machine's CLOCK_MONOTONIC for the time since 1970."""
    return time.time_ns() - time.monotonic_ns()


def is_told(one_way_ms: float, uncertainty_ms: float) -> bool:
    """Whether a one-way time says anything: not when it may as well be nothing."""
    return uncertainty_ms < one_way_ms
