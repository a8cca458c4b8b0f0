"""Work that is made to take so many times as long, and how many times as long it then took.

A stage that is slowed waits at its end until it has taken that many times its own time: time
dilation (D. Gupta et al., "To Infinity and Beyond", NSDI 2006). A quota of CPU time cannot do that:
the kernel hands it out in slices, and threads that spin while they wait for others use it up.
"""

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from splitbed.node.processor import Processor
from splitbed.workers.wanted import sleep_until

_ROUNDS, _BLOCK_S, _PAUSE_S = 4, 0.25, 0.01
_TRIES, _NEAR_ENOUGH, _LEAST_RUNS, _STEERING_S = 4, 0.05, 5, 20.0
_MOST_CORRECTED = 1.5
"""What waiting does to a part, by cold caches and threads asleep, is less; the rest is others'."""
_SPUN_S = 0.0002
"""The last of a wait is no sleep: the kernel wakes up who sleeps by some 0.1 ms too late."""


@dataclass(frozen=True)
class Slowness:
    """Median milliseconds of some work by itself, and slowed."""

    full_ms: float
    limited_ms: float

    @property
    def times(self) -> float:
        """How many times as long it took."""
        return self.limited_ms / self.full_ms


@contextmanager
def stretched(times: float) -> Iterator[None]:
    """What is done inside takes `times` as long as by itself: the rest is waited for at the end."""
    start_s = time.monotonic()
    yield
    ends_s = start_s + times * (time.monotonic() - start_s)
    sleep_until(ends_s - _SPUN_S)
    while time.monotonic() < ends_s:
        pass


def steered(run: Callable[[], object], slowdown: float) -> tuple[float, Slowness]:
    """What to stretch `run` by until it takes `slowdown` times as long, and what was measured then.

    Within 5 %, or the nearest of four tries, fewer where these take long.  Only what runs agree on
    is corrected, and by half at most: on a busy machine the one half is fast and the other slow.
    """

    def off(tried: tuple[float, Slowness]) -> float:
        return abs(tried[1].times / slowdown - 1)

    tries: list[tuple[float, Slowness]] = []
    times, least = slowdown, max(slowdown / _MOST_CORRECTED, 1.0)
    deadline_s = time.monotonic() + _STEERING_S
    while len(tries) < _TRIES:
        pairs = _by_turns(run, times)
        full_ms, limited_ms = (statistics.median(ms) for ms in zip(*pairs, strict=True))
        tries.append((times, found := Slowness(full_ms, limited_ms)))
        quarters = statistics.quantiles((slow / full for full, slow in pairs), n=4)
        agreed = not quarters[0] <= slowdown <= quarters[2]
        if off(tries[-1]) <= _NEAR_ENOUGH or not agreed or time.monotonic() > deadline_s:
            break
        times = min(max(times * slowdown / found.times, least), slowdown * _MOST_CORRECTED)
    return min(tries, key=off)


def _by_turns(run: Callable[[], object], times: float) -> list[tuple[float, float]]:
    """Milliseconds by itself and stretched, in pairs, for a second; five at least."""

    def slowed() -> None:
        with stretched(times):
            run()

    pairs: list[tuple[float, float]] = []
    end_s = time.monotonic() + _ROUNDS * _BLOCK_S
    while len(pairs) < _LEAST_RUNS or time.monotonic() < end_s:
        pairs.append((_ms(run), _ms(slowed)))
    return pairs


def limited_slowness(run: Callable[[], object], limit: Processor, cpus: float) -> Slowness:
    """What `run` takes without a limit and limited to `cpus`; each run is repaid.

    Blocks of a quarter second alternate, four of each, two where a run takes longer.  The limit
    before is set again at the end.
    """

    def repaid() -> None:
        with limit.repaid():
            run()

    before = limit.cpus
    full_ms: list[float] = []
    limited_ms: list[float] = []
    deadline_s = time.monotonic() + 2 * _ROUNDS * _BLOCK_S
    try:
        for index in range(_ROUNDS):
            if index >= 2 and time.monotonic() > deadline_s:
                break
            limit.set(None)
            full_ms += _block_ms(run)
            limit.set(cpus)
            limited_ms += _block_ms(repaid)
    finally:
        limit.set(before)
    return Slowness(statistics.median(full_ms), statistics.median(limited_ms))


def _block_ms(run: Callable[[], object]) -> list[float]:
    """Of a block's runs; the first is left out if there are others."""
    taken_ms: list[float] = []
    end_s = time.monotonic() + _BLOCK_S
    while not taken_ms or time.monotonic() < end_s:
        taken_ms.append(_ms(run))
    return taken_ms[1:] or taken_ms


def _ms(run: Callable[[], object]) -> float:
    """What it takes after a pause, as a frame's part does that waits for the network."""
    time.sleep(_PAUSE_S)
    start_ns = time.monotonic_ns()
    run()
    return (time.monotonic_ns() - start_ns) / 1e6
