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
from collections.abc import Callable

from orchestrator.results.clock import ClockModel, Offset, jumped, own_epoch_ns
from splitbed.errors import NodeError

EXCHANGES = 40
READ_EVERY_S = 10.0

_FEWEST, _WITHIN_S = 8, 2.0  # exchanges of one reading where the control path is slow
_TRIES = 3
_S = 10**9


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
        if self._last is None or jumped(self._last, reading):
            self._origin = reading
        self._last = reading
        self._read_ns = time.monotonic_ns()
        self.ue_epoch_ns = own_epoch_ns() - ue.offset_ns

    def model(self) -> ClockModel | None:
        """What was read since `begin`; None before."""
        if self._origin is None or not self._readings:
            return None
        return ClockModel(tuple(self._readings), self._origin)
