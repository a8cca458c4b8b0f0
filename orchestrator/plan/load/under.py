"""What a plan says of its options under one load: who sustains it, and how long frames take."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from orchestrator.ask.load import Load
from orchestrator.ask.load.edge_work import ALONE
from orchestrator.ask.sweep.config import SweepConfig
from orchestrator.plan.load.forecast import Carried, Response, response
from orchestrator.plan.load.queueing import Source
from orchestrator.plan.prediction import Plan
from splitbed.errors import UsageError

MOST_SIMULATED = 20_000
"""Options times links, each of which has its frames simulated one by one."""
FRAMES = 600
"""That are simulated, of a trace the first."""
COLUMNS = (
    "response_ms", "response_low_ms", "response_high_ms", "response_p99_ms", "dropped_pct",
    "sustained",
)  # fmt: skip
"""Behind the others of plan.csv. Times are of frames that are not dropped."""
Ms = float | None


def planned_load(config: SweepConfig) -> Load:
    """The load of a plan; UsageError for several, and for what a plan says nothing of."""
    load = config.loads[0]
    if len(config.loads) > 1:
        raise UsageError(f"--load {','.join(config.load)}: a plan is for one load: give one")
    if load.deadline_ms is not None:
        raise UsageError(
            f"--deadline-ms {load.deadline_ms:g}: a plan predicts how long frames take, not which "
            "are late: leave it"
        )
    if load.open and config.edge_work != ALONE:
        raise UsageError(
            "--edge-workers, --batch and --edge-queue: a plan predicts frames of one UE, which an "
            "edge works on one at a time: leave them, or measure with a sweep"
        )
    if load.in_flight > 1 and not load.open:
        raise UsageError(
            f"--in-flight {load.in_flight}: a plan predicts frames that are due at times of their "
            "own, or one at a time: give it with --load fps:30, poisson:20, burst:8/0.5 or "
            "trace:FILE"
        )
    return load


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
        held, place = bool(self.middle.sustained[option, point]), (option, point)
        times_ms = (*self.medians_ms(*place), float(self.middle.p99_ms[place]))
        told = tuple("" if ms is None or not held else f"{ms:.3f}" for ms in times_ms)
        dropped = f"{100 * self.middle.dropped[place]:.2f}"
        return (*told, dropped, "true" if held else "false")

    def medians_ms(self, option: int, point: int) -> tuple[Ms, Ms, Ms]:
        """As predicted, at the fast end and at the slow one; None where that is not sustained."""
        middle, fast, slow = (
            float(end.median_ms[option, point]) if end.sustained[option, point] else None
            for end in (self.middle, self.fast, self.slow)
        )
        return middle, fast, slow


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
