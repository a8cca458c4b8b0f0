"""How far the edge's clock is ahead of the UE's over a cell, and a frame told on the UE's clock.

:mod:`orchestrator.testbed.clocks` reads the clocks.
"""

import time
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Self

from splitbed.timeline import NS_PER_MS, Stage, is_hop

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
    """How far the edge is ahead of the UE over the time of a cell: straight between readings.

    `readings` are at least one, in order of time, their moments on the UE's clock. `origin` is the
    first one of the run, however long ago: the drift is the surer for it.
    """

    readings: tuple[Offset, ...]
    origin: Offset

    def at(self, at_ue_ns: int) -> Offset:
        """Estimated when the UE's clock says `at_ue_ns`; outside the readings ever less sure."""
        after = bisect_right(self.readings, at_ue_ns, key=lambda reading: reading.at_ns)
        if after in (0, len(self.readings)):
            return self.readings[min(after, len(self.readings) - 1)].at(at_ue_ns)
        first, last = self.readings[after - 1 : after + 1]
        since_ns, all_ns = at_ue_ns - first.at_ns, last.at_ns - first.at_ns
        # a line that is bent by the wander lies off the straight one by this at most
        bend_ns = -(-WANDER_PPM * since_ns * (all_ns - since_ns) // (all_ns * 10**6))
        return replace(
            first,
            at_ns=at_ue_ns,
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
        """By how much the edge's clock is faster since the origin, and ± that.

        None for a single reading, and where a clock jumped since.
        """
        first, last = self.origin, self.readings[-1]
        if (elapsed_ns := last.at_ns - first.at_ns) <= 0 or jumped(first, last):
            return None
        slowest = 1e6 * (last.low_ns - first.high_ns) / elapsed_ns
        fastest = 1e6 * (last.high_ns - first.low_ns) / elapsed_ns
        return (slowest + fastest) / 2, (fastest - slowest) / 2

    def fault(self, frames: Iterable[Sequence[Stage]] = ()) -> str | None:
        """Why the one-way times of these frames, as their nodes saw them, are not known."""
        if any(jumped(one, other) for one, other in pairwise(self.readings)):
            return "one-way times are not known: the clock of a node jumped"
        if not all(self._agrees(stages) for stages in frames):
            return "one-way times are not known: by its clocks a frame came in before it was sent"
        return None

    def _agrees(self, stages: Sequence[Stage]) -> bool:
        if (ways := _ways(stages)) is None:
            return True
        offset = self.at(ways.at_ns)
        return offset.low_ns <= ways.high_ns and offset.high_ns >= ways.low_ns

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


def on_ue_clock(stages: Sequence[Stage], model: ClockModel) -> list[Stage]:
    """A frame's stages with those of the edge moved onto the UE's clock.

    The edge's own stages keep their durations, uplink and downlink together theirs; only how much
    of it is uplink depends on the estimate. A frame knows more than the clocks: it came in after
    it was sent, so the estimate goes no further than to a one-way time of 0. Of a frame that goes
    one way only, so long as that is unsure, its end-to-end time is.
    """
    if (ways := _ways(stages)) is None:
        return list(stages)
    offset_ns = max(ways.low_ns, min(ways.high_ns, model.at(ways.at_ns).offset_ns))
    sides = zip(stages, on_edge(stages), strict=True)
    return [
        Stage(stage.name, stage.start_ns - started * offset_ns, stage.end_ns - ended * offset_ns)
        for stage, (started, ended) in sides
    ]


def on_edge(stages: Sequence[Stage]) -> list[tuple[bool, bool]]:
    """Of each stage, whether it started, and whether it ended, on the edge."""
    first = next((stage.name for stage in stages if is_hop(stage.name)), "")
    at_edge, found = first == "downlink", []
    for stage in stages:
        before = at_edge
        at_edge = stage.name == "uplink" if is_hop(stage.name) else at_edge
        found.append((before, at_edge))
    return found


_FAR_NS = 1 << 63
"""No clock of this kind reaches it."""


@dataclass(frozen=True)
class _Ways:
    """Limits of the edge's lead by a frame's ways, none of which took less than no time.

    `at_ns` is when, on the UE's clock.
    """

    at_ns: int
    low_ns: int
    high_ns: int


def _ways(stages: Sequence[Stage]) -> _Ways | None:
    """None of a frame that crossed no link."""
    up = [stage for stage in stages if stage.name == "uplink"]
    down = [stage for stage in stages if stage.name == "downlink"]
    if not (up or down):
        return None
    return _Ways(
        up[0].start_ns if up else down[0].end_ns,
        max((stage.start_ns - stage.end_ns for stage in down), default=-_FAR_NS),
        min((stage.end_ns - stage.start_ns for stage in up), default=_FAR_NS),
    )
