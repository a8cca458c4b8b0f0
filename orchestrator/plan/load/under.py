"""What a plan says of its options under one load: who sustains it, and how long frames take."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from orchestrator.ask.load import Load
from orchestrator.plan.load.forecast import Carried, Response, response
from orchestrator.plan.load.queueing import Source
from orchestrator.plan.prediction import Plan
from splitbed.errors import UsageError

MOST_SIMULATED = 20_000
"""Options times links, each of which has its frames simulated one by one."""
FRAMES = 600
COLUMNS = (
    "response_ms", "response_low_ms", "response_high_ms", "response_p99_ms", "dropped_pct",
    "sustained",
)  # fmt: skip
"""Behind the others of plan.csv. Times are of frames that are not dropped."""


@dataclass(frozen=True)
class UnderLoad:
    """As predicted, and at both ends of what is to be expected."""

    load: Load
    middle: Response
    fast: Response
    slow: Response

    @cached_property
    def best(self) -> npt.NDArray[np.intp]:
        """At each point, the option with the least median of those that sustain it; -1: none."""
        held = np.where(self.middle.sustained, self.middle.median_ms, np.inf)
        return np.asarray(np.where(np.isinf(held).all(axis=0), -1, held.argmin(axis=0)))

    def columns(self, option: int) -> Iterator[str]:
        """Of each point, what stands in COLUMNS; no time of what is not sustained."""
        for point in range(self.middle.median_ms.shape[1]):
            yield ",".join(self._told(option, point))

    def _told(self, option: int, point: int) -> tuple[str, ...]:
        held = bool(self.middle.sustained[option, point])
        times_ms = (
            self.middle.median_ms[option, point],
            self.fast.median_ms[option, point],
            self.slow.median_ms[option, point],
            self.middle.p99_ms[option, point],
        )
        told = tuple(f"{ms:.3f}" if held and np.isfinite(ms) else "" for ms in times_ms)
        dropped = f"{100 * self.middle.dropped[option, point]:.2f}"
        return (*told, dropped, "true" if held else "false")


def under_load(plan: Plan, carries: Carried, load: Load, seed: int) -> UnderLoad:
    """All options at all points, `load` drawn with `seed`. Raises UsageError for too many."""
    if plan.e2e_ms.size > MOST_SIMULATED:
        raise UsageError(
            f"--load {load.name}: frames of {plan.e2e_ms.size:,} configurations are more than is "
            f"simulated, {MOST_SIMULATED:,}: give fewer points of --bw, --delay or --ue-slowdown"
        )
    due_ms = np.array(load.due_ns(load.frames(FRAMES), seed), np.float64) / 1e6
    source = Source(load.in_flight, load.queue, load.drop)
    ways = (carries.stages, carries.fast, carries.slow)
    return UnderLoad(load, *(response(one, due_ms, source) for one in ways))
