"""A run at a load, and whether all that must hold did.

fates and times of frames ──> lost, sustained, each limit, the source, Little's law ──> trial
"""

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from orchestrator.capacity.little import little
from orchestrator.capacity.objective import Floats, Limit, Objective
from orchestrator.results.records.capacity import Trial
from orchestrator.results.rows import Row
from orchestrator.results.statistics.measured_visit import MeasuredVisit
from orchestrator.results.statistics.offered import Fate, Offered, by_ue, offered, response_ms

MOST_LATE = 0.5
"""A source that begins frames later, though they waited for no other, does not keep up: of what is
between two of them."""
NOT_MEASURED, LOST, NOT_SUSTAINED, SOURCE = "not measured", "lost", "not sustained", "the source"


def judged(
    asked: Objective, key: str, load: float, run: int, visit: MeasuredVisit, row: Row
) -> Trial:
    """What a visit came to; its row stands alone."""
    if not visit.fates:
        return Trial(
            key=key, load=load, run=run, held=False, broken=(NOT_MEASURED,), why=row.reason
        )
    fates = sorted(visit.fates, key=lambda one: one.due_ns)
    whole = offered(fates, visit.cell.in_flight, max_lost=1.0)  # which has a limit of its own
    times_ms = {limit.name: limit.of(_times_ms(limit, fates, visit)) for limit in asked.limits}
    broken = dict(_broken(asked, fates, whole, times_ms, row))
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
        times_ms=times_ms,
        under_way=law.under_way if law else None,
        by_law=law.by_law if law else None,
        law_holds=law.holds if law else None,
    )


def _ends_ns(fates: Sequence[Fate]) -> tuple[list[int], list[int]]:
    return [one.due_ns for one in fates], [one.done_ns for one in fates]


def _times_ms(limit: Limit, fates: Sequence[Fate], visit: MeasuredVisit) -> Floats:
    """Of response, a frame that was lost took longest; no end-to-end time is of one."""
    if limit.time == "response":
        return response_ms(fates)
    return np.empty(0) if visit.times is None else visit.times.e2e_ms


def _broken(
    asked: Objective,
    fates: Sequence[Fate],
    whole: Offered,
    times_ms: Mapping[str, float | None],
    row: Row,
) -> Iterator[tuple[str, str]]:
    """What did not hold, by its name, in words."""
    if not row.valid and not whole.errors:
        yield NOT_MEASURED, row.reason
    share = whole.lost / whole.offered
    if not asked.drops.holds(share):
        counts = {
            "dropped at the source": whole.dropped_source,
            "dropped at the edge": whole.dropped_edge,
            "late": whole.late,
            "failed": whole.errors,
        }
        told = ", ".join(f"{count} {how}" for how, count in counts.items() if count)
        yield LOST, f"of {whole.offered} frames {told} ({share:.1%})"
    for ue, own in by_ue(fates, row.in_flight, max_lost=1.0).items():
        if own.why:
            yield NOT_SUSTAINED, f"{ue}: {own.why}" if ue else own.why
            break
    for limit in asked.limits:
        ms = times_ms[limit.name]
        if ms is None and asked.drops.holds(share):
            yield limit.name, f"{whole.done} frames are too few to tell {limit.name}"
        elif ms is not None and not limit.holds(ms):
            told = f"{ms:.4g} ms" if math.isfinite(ms) else "that of frames that were lost"
            yield limit.name, f"{limit.name} is {told}"
    late_ms = row.schedule_error_ms
    ues = len({one.ue for one in fates})
    if late_ms and whole.offered_fps and late_ms > MOST_LATE * 1e3 * ues / whole.offered_fps:
        yield SOURCE, f"the source began frames {late_ms:.3g} ms after they were due"
