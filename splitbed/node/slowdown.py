"""How much slower a limit of the processor makes some work."""

import os
import statistics
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from splitbed.node.processor import Processor

_ROUNDS, _BLOCK_S, _PAUSE_S = 4, 0.25, 0.01


def busy_cpus(run: Callable[[], object]) -> float:
    """How many processors ``run`` keeps busy, unlimited: its CPU time over its time.

    Divided by the slow-down wanted, it is the limit that gives it.  What this thread waited for
    processors that others had is no time of its own.  The median of a quarter second's runs.
    """
    busy: list[float] = []
    end_s = time.monotonic() + _BLOCK_S
    while len(busy) < 2 or time.monotonic() < end_s:
        time.sleep(_PAUSE_S)
        start_s, used_s = time.monotonic() - _waited_s(), time.process_time()
        run()
        used_s = time.process_time() - used_s
        busy.append(used_s / (time.monotonic() - _waited_s() - start_s))
    return min(statistics.median(busy), len(os.sched_getaffinity(0)))


def measured_slowdown(
    run: Callable[[], object], limit: Processor, cpus: float
) -> tuple[float, float]:
    """Median milliseconds of ``run`` without a limit, and limited to ``cpus``.

    Blocks of a quarter second alternate, four of each, two where a run takes longer; the first
    run of a block is left out if there are others.  Each run comes after a pause, as a frame's
    that waits for the network, and is repaid.  The limit before is set again at the end.
    """
    before = limit.cpus
    full_ms: list[float] = []
    limited_ms: list[float] = []
    deadline_s = time.monotonic() + 2 * _ROUNDS * _BLOCK_S
    try:
        for index in range(_ROUNDS):
            if index >= 2 and time.monotonic() > deadline_s:
                break
            limit.set(None)
            full_ms += _block_ms(run, limit)
            limit.set(cpus)
            limited_ms += _block_ms(run, limit)
    finally:
        limit.set(before)
    return statistics.median(full_ms), statistics.median(limited_ms)


def _block_ms(run: Callable[[], object], limit: Processor) -> list[float]:
    taken_ms: list[float] = []
    end_s = time.monotonic() + _BLOCK_S
    while not taken_ms or time.monotonic() < end_s:
        time.sleep(_PAUSE_S)
        start_ns = time.monotonic_ns()
        with limit.repaid():
            run()
        taken_ms.append((time.monotonic_ns() - start_ns) / 1e6)
    return taken_ms[1:] or taken_ms


def _waited_s() -> float:
    """How long this thread was ready and not running, where the kernel counts (sched-stats)."""
    with suppress(OSError):
        return int(Path("/proc/thread-self/schedstat").read_text().split()[1]) / 1e9
    return 0.0
