"""How far the edge's clock is ahead of the UE's, and how sure that is.

    orchestrator ──asks──> node's clock ──> orchestrator        many exchanges ──> Offset
    UE's Offset, edge's Offset ──> edge ahead of UE             several moments ──> ClockModel

UE and edge have no path to each other but the shaped link, so the orchestrator asks both over the
control plane. An exchange that left at `t0` and was back at `t1` has seen the node's time `t` at
some moment between: the node is ahead by `t - t1` at least and by `t - t0` at most, however unequal
the two ways were. All exchanges are true at once, so the offset lies in what their intervals have
in common (Marzullo 1984), which is no wider than the exchange of the shortest round trip alone
(Cristian 1989). Half of its width is the uncertainty, a limit and not a deviation.
"""

import time
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import Any, Self

from splitbed.errors import NodeError
from splitbed.timeline import NS_PER_MS, Stage

EXCHANGES = 40
MAX_RATE_PPM = 500
"""Clocks run apart no faster than this: what NTP may pull (Linux's MAXFREQ); quartz does 100."""
WANDER_PPM = 20
"""By how much the rate may change between two readings: temperature, and NTP at work."""
READ_EVERY_S = 10.0

_FEWEST, _WITHIN_S = 8, 2.0  # exchanges of one reading where the control path is slow
_TRIES = 3
_S = 10**9

EDGE_STAGES = ("decode", "part2", "result")


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


def read_offset(
    ask: Callable[[], int],
    exchanges: int = EXCHANGES,
    *,
    whose: str = "the node",
    now: Callable[[], int] = time.monotonic_ns,
) -> Offset:
    """How far the clock that `ask` reads is ahead of `now`, both in ns.

    Over a slow path the exchanges are fewer. Raises NodeError when the clock jumps whenever it is
    read, and what `ask` raises.
    """
    for _ in range(_TRIES):
        seen = _exchange(ask, exchanges, now)
        at_ns = now()
        aged = [one.at(at_ns) for one in seen]
        low_ns, high_ns = max(one.low_ns for one in aged), min(one.high_ns for one in aged)
        if low_ns <= high_ns:
            return Offset(at_ns, low_ns, high_ns, min(one.rtt_ns for one in seen), len(seen))
    raise NodeError(
        f"the clock of {whose} jumped while it was read, {_TRIES} times over: is its machine "
        "being suspended, or moved to another host? Measure on one that keeps its time"
    )


def _exchange(ask: Callable[[], int], exchanges: int, now: Callable[[], int]) -> list[Offset]:
    seen: list[Offset] = []
    began = now()
    while len(seen) < exchanges:
        before = now()
        if len(seen) >= _FEWEST and before - began > _WITHIN_S * _S:
            break
        theirs = ask()
        after = now()
        seen.append(Offset(before, theirs - after, theirs - before, after - before, exchanges=1))
    return seen


def between(ue: Offset, edge: Offset) -> Offset:
    """How far the edge is ahead of the UE, at a moment of the UE's clock; uncertainties add."""
    at_ns = max(ue.at_ns, edge.at_ns)
    ue, edge = ue.at(at_ns), edge.at(at_ns)
    return Offset(
        at_ns=at_ns + ue.offset_ns,
        low_ns=edge.low_ns - ue.high_ns,
        high_ns=edge.high_ns - ue.low_ns,
        rtt_ns=max(ue.rtt_ns, edge.rtt_ns),
        exchanges=min(ue.exchanges, edge.exchanges),
    )


@dataclass(frozen=True)
class ClockModel:
    """How far the edge is ahead of the UE over the time of a cell: straight between readings.

    `readings` are at least one, in order of time, their moments on the UE's clock. `origin` is the
    first one of the run, however long ago: the drift is the surer for it.
    """

    readings: tuple[Offset, ...]
    origin: Offset

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        """The model that `record()` has written down."""
        readings = tuple(Offset(**reading) for reading in record["readings"])
        return cls(readings, Offset(**record["origin"]))

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
        if (elapsed_ns := last.at_ns - first.at_ns) <= 0 or _jumped(first, last):
            return None
        slowest = 1e6 * (last.low_ns - first.high_ns) / elapsed_ns
        fastest = 1e6 * (last.high_ns - first.low_ns) / elapsed_ns
        return (slowest + fastest) / 2, (fastest - slowest) / 2

    def fault(self, frames: Iterable[Sequence[Stage]] = ()) -> str | None:
        """Why the one-way times of these frames, as their nodes saw them, are not known."""
        if any(_jumped(one, other) for one, other in pairwise(self.readings)):
            return "one-way times are not known: the clock of a node jumped"
        if not all(self._agrees(stages) for stages in frames):
            return "one-way times are not known: by its clocks a frame came in before it was sent"
        return None

    def _agrees(self, stages: Sequence[Stage]) -> bool:
        if (bounds := _bounds_ns(stages)) is None:
            return True
        offset = self.at(_named(stages)["uplink"].start_ns)
        return offset.low_ns <= bounds[1] and offset.high_ns >= bounds[0]

    def record(self) -> dict[str, Any]:
        """For JSON: the estimate at the first reading, the drift, and all readings."""
        first, drift = self.readings[0], self.drift_ppm or (None, None)
        return {
            "offset_ms": first.offset_ns / NS_PER_MS,
            "uncertainty_ms": self.uncertainty_ms,
            "drift_ppm": drift[0],
            "drift_uncertainty_ppm": drift[1],
            "exchanges": sum(reading.exchanges for reading in self.readings),
            "rtt_ms": min(reading.rtt_ns for reading in self.readings) / NS_PER_MS,
            "origin": asdict(self.origin),
            "readings": [asdict(reading) for reading in self.readings],
        }


def _jumped(one: Offset, other: Offset) -> bool:
    """Whether no clocks that only drift can have both."""
    aged = one.at(other.at_ns)
    return aged.low_ns > other.high_ns or aged.high_ns < other.low_ns


class Clocks:
    """Reads the clocks of two nodes over a run, now and then while a cell is measured.

    `ask_ue` and `ask_edge` give a node's CLOCK_MONOTONIC in ns; what they raise is passed on.
    """

    def __init__(self, ask_ue: Callable[[], int], ask_edge: Callable[[], int]) -> None:
        self._ask_ue, self._ask_edge = ask_ue, ask_edge
        self._origin: Offset | None = None
        self._last: Offset | None = None
        self._readings: list[Offset] = []
        self._read_ns = 0
        self.ue_epoch_ns = 0
        """What to add to the UE's clock for the time since 1970."""

    def begin(self) -> None:
        """Forget the readings of the cell before, and read both."""
        self._readings.clear()
        self.read()

    def read_if_due(self) -> None:
        """Read both, unless that was less than `READ_EVERY_S` ago: between two frames."""
        if time.monotonic_ns() - self._read_ns >= READ_EVERY_S * _S:
            self.read()

    def read(self) -> None:
        """Read both: once more at the end of a cell."""
        ue = read_offset(self._ask_ue, whose="the UE node")
        edge = read_offset(self._ask_edge, whose="the edge node")
        reading = between(ue, edge)
        self._readings.append(reading)
        if self._last is None or _jumped(self._last, reading):
            self._origin = reading
        self._last = reading
        self._read_ns = time.monotonic_ns()
        self.ue_epoch_ns = own_epoch_ns() - ue.offset_ns

    def model(self) -> ClockModel | None:
        """What was read since `begin`; None before."""
        if self._origin is None or not self._readings:
            return None
        return ClockModel(tuple(self._readings), self._origin)


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
    it was sent, so the estimate goes no further than to a one-way time of 0.
    """
    if (bounds := _bounds_ns(stages)) is None:
        return list(stages)
    estimate_ns = model.at(_named(stages)["uplink"].start_ns).offset_ns
    offset_ns = max(bounds[0], min(bounds[1], estimate_ns))
    return [_moved(stage, offset_ns) for stage in stages]


def _moved(stage: Stage, offset_ns: int) -> Stage:
    start_ns, end_ns = stage.start_ns, stage.end_ns
    if stage.name in (*EDGE_STAGES, "downlink"):
        start_ns -= offset_ns
    if stage.name in (*EDGE_STAGES, "uplink"):
        end_ns -= offset_ns
    return Stage(stage.name, start_ns, end_ns)


def _bounds_ns(stages: Sequence[Stage]) -> tuple[int, int] | None:
    """Limits of the edge's lead by this frame: no way took less than no time; None: no edge."""
    named = _named(stages)
    if "uplink" not in named:
        return None
    uplink, downlink = named["uplink"], named["downlink"]
    return downlink.start_ns - downlink.end_ns, uplink.end_ns - uplink.start_ns


def _named(stages: Sequence[Stage]) -> dict[str, Stage]:
    return {stage.name: stage for stage in stages}
