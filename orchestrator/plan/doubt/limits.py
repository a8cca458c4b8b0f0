"""What a plan says of a limit, as of a 95th percentile: what is predicted, and between which ends.

A limit is judged by the upper end. The median's error and the frames' spread are not told apart:
what earlier cells had as theirs, over what was predicted as their median, has both in it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from orchestrator.plan.doubt import COVERAGE, Doubt
from orchestrator.plan.grid import Floats
from orchestrator.plan.prediction import Plan
from orchestrator.reports.terminal import Line
from orchestrator.results.statistics.limits import Bools, Limit, limits
from splitbed.errors import UsageError

Doubts = Sequence[tuple[Limit, Doubt]]


def plan_limits(slo: str | Sequence[str]) -> tuple[Limit, ...]:
    """Those of a plan. Raises UsageError for what cannot be one, as what frames wait."""
    found = limits(slo) if slo else ()
    if response := next((one for one in found if one.time == "response"), None):
        raise UsageError(
            f"--slo {response.text}: what frames wait under a load is simulated with stages that "
            "always take as long, which tells no limit: give one of e2e, or measure it by "
            "orchestrate capacity"
        )
    return found


@dataclass(frozen=True)
class Expected:
    """What is limited of each option (rows) at each point (columns), in ms."""

    limit: Limit
    doubt: Doubt
    ms: Floats
    low_ms: Floats
    high_ms: Floats

    @property
    def within(self) -> Bools:
        """Whether the limit is kept, surely."""
        return self.limit.holds(self.high_ms)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of what :meth:`at` gives."""
        name = self.limit.name
        return f"{name}_ms", f"{name}_low_ms", f"{name}_high_ms"

    def at(self, option: int, point: int) -> Line:
        """Of one option at one point; no end where nobody knows it."""
        told = (float(of[option, point]) for of in (self.ms, self.low_ms, self.high_ms))
        values = (round(ms, 3) if np.isfinite(ms) else None for ms in told)
        return dict(zip(self.columns, values, strict=True))

    @property
    def words(self) -> str:
        """What it rests on."""
        return (
            f"{self.limit.name} over what is predicted of the median, in {COVERAGE:.0%} of cases, "
            f"the wire aside: {self.doubt.kinds}. {self.limit.text} is judged by the upper end."
        )


def expected(plan: Plan, doubts: Doubts) -> tuple[Expected, ...]:
    """Of each limit, by what is known of it."""
    long = plan.predictor.long_parts(plan.work, plan.grid)
    wire_ms = plan.predictor.wire_ms(plan.work, plan.grid)
    found = []
    for limit, doubt in doubts:
        ms = doubt.middle_ms(plan.e2e_ms, wire_ms, long)
        found.append(Expected(limit, doubt, ms, *doubt.ends_ms(plan.e2e_ms, wire_ms, long)))
    return tuple(found)
