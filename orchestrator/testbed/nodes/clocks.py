"""How far the clocks of nodes are ahead of the user's, and how sure that is.

    orchestrator ──asks──> node's clock ──> orchestrator        many exchanges ──> Offset
    two nodes' Offsets ──> one ahead of the other               several moments ──> ClockModel

Nodes have no path to one another but the shaped links, so the orchestrator asks all over the
control plane. An exchange that left at `t0` and was back at `t1` has seen the node's time `t` at
some moment between: the node is ahead by `t - t1` at least and by `t - t0` at most, however unequal
the two ways were. All exchanges are true at once, so the offset lies in what their intervals have
in common (Marzullo 1984), which is no wider than the exchange of the shortest round trip alone
(Cristian 1989). Half of its width is the uncertainty, a limit and not a deviation.
"""

import time
from collections.abc import Callable, Mapping

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


def between(user: Offset, node: Offset) -> Offset:
    """How far a node is ahead of the user, at a moment of the user's clock; uncertainties add."""
    at_ns = max(user.at_ns, node.at_ns)
    user, node = user.at(at_ns), node.at(at_ns)
    return Offset(
        at_ns=at_ns + user.offset_ns,
        low_ns=node.low_ns - user.high_ns,
        high_ns=node.high_ns - user.low_ns,
        rtt_ns=max(user.rtt_ns, node.rtt_ns),
        exchanges=min(user.exchanges, node.exchanges),
    )


class Clocks:
    """Reads the clocks of nodes over a run, now and then while a cell is measured.

    `asks` give a node's CLOCK_MONOTONIC in ns, by its name, the user's first; what they raise is
    passed on.
    """

    def __init__(self, asks: Mapping[str, Callable[[], int]]) -> None:
        self._asks = asks
        self._user = next(iter(asks))
        self._origins: dict[str, Offset] = {}
        self._last: dict[str, Offset] = {}
        self._readings: dict[str, list[Offset]] = {}
        self._read_ns = 0
        self.ue_epoch_ns = 0
        """What to add to the user's clock for the time since 1970."""

    def begin(self) -> None:
        """Forget the readings of the cell before, and read all."""
        self._readings.clear()
        self.read()

    def read_if_due(self) -> None:
        """Read all, unless that was less than `READ_EVERY_S` ago: between two frames."""
        if time.monotonic_ns() - self._read_ns >= READ_EVERY_S * _S:
            self.read()

    def read(self) -> None:
        """Read all: once more at the end of a cell."""
        offsets = {
            name: read_offset(ask, whose=f"the {name} node") for name, ask in self._asks.items()
        }
        user = offsets.pop(self._user)
        for name, offset in offsets.items():
            reading = between(user, offset)
            self._readings.setdefault(name, []).append(reading)
            if name not in self._last or jumped(self._last[name], reading):
                self._origins[name] = reading
            self._last[name] = reading
        self._read_ns = time.monotonic_ns()
        self.ue_epoch_ns = own_epoch_ns() - user.offset_ns

    def models(self) -> dict[str, ClockModel]:
        """How far each is ahead of the user's, by what was read since `begin`; none before."""
        return {
            name: ClockModel(tuple(readings), self._origins[name])
            for name, readings in self._readings.items()
        }
