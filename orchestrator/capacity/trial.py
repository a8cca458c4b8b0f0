"""A run at a load, and whether all that must hold did, of each UE.

fates and times of frames ──> lost, sustained, each limit, the source, Little's law ──> trial
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from orchestrator.capacity.little import little
from orchestrator.capacity.objective import DropLimit, Objective
from orchestrator.results.records.capacity import Trial
from orchestrator.results.statistics.limits import Floats, Limit
from orchestrator.results.statistics.measured_visit import MeasuredVisit
from orchestrator.results.statistics.offered import Fate, Offered, offered, response_ms

MOST_LATE = 0.5
"""A source that begins frames later, though they waited for no other, does not keep up: of what is
between two of them."""
LOST, NOT_SUSTAINED, SOURCE = "lost", "not sustained", "the source"


@dataclass(frozen=True)
class _Had:
    """What one UE had of a run: what became of its frames, and the times that are limited."""

    ue: str
    came: Offered
    times_ms: Mapping[str, float | None]

    @property
    def lost(self) -> float:
        """The share."""
        return self.came.lost / self.came.offered

    def told(self, words: str) -> str:
        """With whose it is, where there are several."""
        return f"{self.ue}: {words}" if self.ue else words

    def lost_words(self) -> str:
        came = self.came
        counts = {
            "dropped at the source": came.dropped_source,
            "dropped at the edge": came.dropped_edge,
            "late": came.late,
            "failed": came.errors,
        }
        told = ", ".join(f"{count} {how}" for how, count in counts.items() if count)
        return self.told(f"of {came.offered} frames {told} ({self.lost:.1%})")

    def breaks(self, limit: Limit, drops: DropLimit) -> str:
        """How it does not keep the limit, in words; nothing where it does, or too many are lost."""
        ms = self.times_ms[limit.name]
        if ms is None:
            few = f"{self.came.done} frames are too few to tell {limit.name}"
            return self.told(few) if drops.holds(self.lost) else ""
        if limit.holds(ms):
            return ""
        told = f"{ms:.4g} ms" if math.isfinite(ms) else "that of frames that were lost"
        return self.told(f"{limit.name} is {told}")


def judged(
    asked: Objective, key: str, load: float, run: int, visit: MeasuredVisit, faults: Sequence[str]
) -> Trial:
    """What a visit came to, which has these faults: each UE by itself, the worst is told."""
    if faults:
        return Trial(key=key, load=load, run=run, held=None, why="; ".join(faults))
    fates = sorted(visit.fates, key=lambda one: one.due_ns)
    whole, each = _offered(fates, visit), [*_each(asked, fates, visit)]
    broken = dict(_broken(asked, each, whole))
    due_ns, done_ns = (np.array(one, np.float64) for one in _ends_ns(fates))
    law = little(due_ns, done_ns)
    return Trial(
        key=key,
        load=load,
        run=run,
        held=not broken,
        broken=tuple(broken),
        why="; ".join(broken.values()),
        offered=whole.offered,
        done=whole.done,
        lost_pct=100 * whole.lost / whole.offered,
        delivered_fps=whole.delivered_fps,
        times_ms={limit.name: _longest_ms(limit, each) for limit in asked.limits},
        under_way=law.under_way if law else None,
        by_law=law.by_law if law else None,
        law_holds=law.holds if law else None,
    )


def _offered(fates: Sequence[Fate], visit: MeasuredVisit) -> Offered:
    """However many were lost: that has a limit of its own."""
    return offered(fates, visit.cell.in_flight, max_lost=1.0)


def _each(asked: Objective, fates: Sequence[Fate], visit: MeasuredVisit) -> Iterator[_Had]:
    for ue in sorted({one.ue for one in fates}):
        own = [one for one in fates if one.ue == ue]
        times_ms = {limit.name: limit.of(_times_ms(limit, own, visit)) for limit in asked.limits}
        yield _Had(ue, _offered(own, visit), times_ms)


def _ends_ns(fates: Sequence[Fate]) -> tuple[list[int], list[int]]:
    return [one.due_ns for one in fates], [one.done_ns for one in fates]


def _times_ms(limit: Limit, fates: Sequence[Fate], visit: MeasuredVisit) -> Floats:
    """Of one UE: of response, a frame that was lost took longest; no end-to-end time is of one."""
    if limit.time == "response":
        return response_ms(fates)
    if visit.times is None:
        return np.empty(0)
    own = {share.ue.name: share.e2e_ms for share in visit.shares}
    return own.get(fates[0].ue, visit.times.e2e_ms)


def _longest_ms(limit: Limit, each: Sequence[_Had]) -> float | None:
    """Of all UEs; None where one's frames are too few to tell."""
    known = [ms for one in each if (ms := one.times_ms[limit.name]) is not None]
    return max(known) if len(known) == len(each) else None


def _breaks(limit: Limit, drops: DropLimit, each: Sequence[_Had]) -> str:
    """How the slowest UE of those that do not keep it breaks a limit; nothing where all keep it."""
    slowest_first = sorted(each, key=lambda one: one.times_ms[limit.name] or 0.0, reverse=True)
    return next((why for one in slowest_first if (why := one.breaks(limit, drops))), "")


def _broken(asked: Objective, each: Sequence[_Had], whole: Offered) -> Iterator[tuple[str, str]]:
    """What did not hold, by its name, in words."""
    most = max(each, key=lambda one: one.lost)
    if not asked.drops.holds(most.lost):
        yield LOST, most.lost_words()
    if grows := next((one.told(one.came.why) for one in each if one.came.why), ""):
        yield NOT_SUSTAINED, grows
    for limit in asked.limits:
        if why := _breaks(limit, asked.drops, each):
            yield limit.name, why
    late_ms = whole.schedule_error_ms
    if late_ms and whole.offered_fps and late_ms > MOST_LATE * 1e3 * len(each) / whole.offered_fps:
        yield SOURCE, f"the source began frames {late_ms:.3g} ms after they were due"
