"""The columns of a row that the visits of its cell fill by themselves, pooled."""

from collections.abc import Mapping, Sequence
from math import inf

import numpy as np
from msgspec.structs import replace

from orchestrator.ask.flow import FLOWS
from orchestrator.results.clock import is_told
from orchestrator.results.columns import Column
from orchestrator.results.columns.asked import FPS, asked_number, asked_row, blocks_of
from orchestrator.results.columns.conditions import with_links, with_machine
from orchestrator.results.columns.flow import flow_columns
from orchestrator.results.columns.main import NO_FRAME, PERCENTILES
from orchestrator.results.columns.of_load import offered_in, with_load
from orchestrator.results.columns.of_resources import with_resources
from orchestrator.results.judgement.disturbance import disturbed_by
from orchestrator.results.judgement.load import failures_of, remarks_on_load
from orchestrator.results.judgement.validity import faults_of, remarks_on
from orchestrator.results.records import Accuracy, RunRecord
from orchestrator.results.rows import Row, known
from orchestrator.results.statistics.blocks import interval_of
from orchestrator.results.statistics.by_ue import UeShare, fairness, together
from orchestrator.results.statistics.intervals import frames_for
from orchestrator.results.statistics.measured_visit import MeasuredVisit
from orchestrator.results.statistics.times import Array, CellTimes, pooled
from splitbed.timeline import STAGES, is_hop


def measured_row(run: RunRecord, visits: Sequence[MeasuredVisit]) -> Row:
    """What the visits of a cell say by themselves.

    Times are of the frames of all. A fault of any makes the row INVALID, and what disturbed any is
    told, with the block where there are several; so is the most that was used of the machine.
    """
    if len(visits) > 1:
        return _pooled(run, visits)
    row, visit = _measured(run, visits), visits[0]
    faults = faults_of(row, run, visit.cell, visit.clock_fault) + failures_of(row, visit.failures)
    remarks = remarks_on(row, visit.clock_fault, visit.cell.failed_again)
    remarks += [
        f"not to be believed of {node}: {fault}"
        for node, told in visit.cell.resources.items()
        for fault in told.faults
    ]
    reason = "; ".join(faults or remarks + remarks_on_load(row, offered_in(visits)))
    disturbed = disturbed_by(visit.cell, visit.computing_share, row.e2e_ms or inf)
    return replace(row, valid=not faults, reason=reason, disturbed=disturbed)


def _pooled(run: RunRecord, visits: Sequence[MeasuredVisit]) -> Row:
    alone = [measured_row(run, [visit]) for visit in visits]
    valid = all(row.valid for row in alone)

    def told(name: str, of: Sequence[Row]) -> str:
        both = zip(visits, alone, strict=True)
        words = [(visit, getattr(row, name)) for visit, row in both if row in of]
        return "; ".join(f"{when(run, visit)}{word}" for visit, word in words if word)

    reason = told("reason", [row for row in alone if row.valid == valid])
    row = _measured(run, visits)
    return replace(row, valid=valid, reason=reason, disturbed=told("disturbed", alone))


def when(run: RunRecord, visit: MeasuredVisit) -> str:
    """Which visit it was, in front of what is told of it; nothing of the first of one block."""
    blocks = blocks_of(run)
    if visit.cell.block >= blocks:
        return "at the end "
    return f"in block {visit.cell.block + 1} " if blocks > 1 else ""


def _measured(run: RunRecord, visits: Sequence[MeasuredVisit]) -> Row:
    """The row, but for its judgement."""
    row = asked_row(run, visits)
    row = _with_accuracy(row, visits, run.whole_accuracy)
    if timed := [visit for visit in visits if visit.times is not None]:
        row = _with_rates(_with_times(row, timed, blocks_of(run)), timed, run)
        row = _with_shares(row, together([visit.shares for visit in timed]))
        row = _with_sharing(row, timed)
    row = with_resources(with_load(row, visits), visits, run.power)
    row = with_links(row, [visit.cell for visit in visits])
    if machines := [visit.cell.machine for visit in visits if visit.cell.machine]:
        row = with_machine(row, machines)
    return row


def _with_accuracy(row: Row, visits: Sequence[MeasuredVisit], whole: Accuracy | None) -> Row:
    """Of a lossless row, that of the whole model, which its difference proves."""
    found = [visit.cell.accuracy for visit in visits if visit.cell.accuracy]
    diffs = [one.link_diff for one in found if one.link_diff is not None]
    judged = whole if row.lossless else next(iter(found), None)
    if judged is None or whole is None:
        return row
    drop = judged.drop
    if drop is None and judged.value is not None and whole.value is not None:
        drop = whole.value - judged.value  # an earlier version did not write it down
    return replace(
        row,
        accuracy_metric=judged.metric,
        accuracy=judged.value,
        accuracy_drop=drop,
        accuracy_drop_low=judged.drop_low,
        accuracy_drop_high=judged.drop_high,
        accuracy_link_diff=max(diffs, default=None),
        accuracy_frames=judged.frames,
    )


def _with_times(row: Row, visits: Sequence[MeasuredVisit], blocks: int) -> Row:
    """The times of all frames."""
    every = [visit.times for visit in visits if visit.times is not None]
    times = pooled(every)
    bound = np.concatenate([visit.bound_ms for visit in visits])
    hops = FLOWS[row.flow].hops
    columns = {f"{name}_ms": times.ms(name) for name in STAGES if name in hops or not is_hop(name)}
    columns |= {"network_ms": times.ms(*filter(is_hop, times.stages))}
    columns |= {"gap_pct": 100 * times.gap_share}
    columns |= {"overlapped_ms": np.concatenate([visit.overlapped_ms for visit in visits])}
    columns |= {"held_ms": np.concatenate([visit.held_ms for visit in visits])}
    columns |= {"e2e_ms": times.e2e_ms, "bound_ms": bound}
    columns["e2e_over_bound"] = _ratios(times.e2e_ms, bound)
    diffs = [visit.max_abs_diff for visit in visits if visit.max_abs_diff is not None]
    row = replace(
        row,
        **_medians(columns),
        samples_ms=tuple(times.e2e_ms.tolist()),
        block_frames=tuple((visit.cell.block, visit.frames) for visit in visits),
        **_percentiles(times.e2e_ms),
        # of a codec whose bytes depend on the content, the mean
        encoded_bytes=_mean([visit.encoded_bytes for visit in visits]),
        result_bytes=_mean([visit.result_bytes for visit in visits]),
        max_abs_diff=max(diffs, default=None),
        of_flow=_of_flow(row, times, visits),
    )
    row = _with_interval(row, visits, blocks)
    return _with_clock(row, visits) if times.crosses.any() else row


def _with_sharing(row: Row, visits: Sequence[MeasuredVisit]) -> Row:
    every = [one for visit in visits for one in visit.shared]
    if not every:
        return row
    waits_ms = [one.wait_ms for one in every]
    offs = [off for visit in visits if (off := visit.cell.batch_off) is not None]
    return replace(
        row,
        batch_mean=float(np.mean([one.together for one in every])),
        batch_most=max(one.together for one in every),
        batch_off=max(offs, default=None),
        edge_wait_ms=float(np.median(waits_ms)),
        edge_wait_most_ms=max(waits_ms),
    )


def _with_shares(row: Row, shares: Sequence[UeShare]) -> Row:
    if not shares:
        return row
    each = [one.goodput_mbit for one in shares]
    medians = [one.median_ms for one in shares]
    worst = [one.percentile_ms(PERCENTILES["e2e_p99_ms"]) for one in shares]
    return replace(
        row,
        goodput_mbit=sum(each),
        fairness=fairness(each),
        worst_ue_e2e_ms=_most(medians),
        worst_ue_e2e_p99_ms=_most(worst),
    )


def _most(values: Sequence[float | None]) -> float | None:
    """None where one is not known: it may be the most."""
    known_ms = [value for value in values if value is not None]
    return max(known_ms) if len(known_ms) == len(values) else None


def _of_flow(
    row: Row, times: CellTimes, visits: Sequence[MeasuredVisit]
) -> tuple[tuple[str, float | None], ...]:
    """What the flow has besides: stages that several nodes have, what was sent on each hop."""
    nothing, named = np.zeros_like(times.e2e_ms), times.stages | times.by_node

    def of(column: Column) -> float | None:
        if column.bare in FLOWS[row.flow].hops and column.unit == "bytes":
            return _sent_bytes(visits, column.bare)
        if column.empty == NO_FRAME:
            return float(np.median(named.get(column.bare, nothing)))
        return dict(row.of_flow)[column.name]  # the size of a part

    return tuple((name, of(column)) for name, column in flow_columns(row.flow).items())


def _sent_bytes(visits: Sequence[MeasuredVisit], hop: str) -> int:
    """What was sent on the hop, the mean of the frames."""
    return _mean([visit.sent_bytes.get(hop, np.zeros(visit.frames)) for visit in visits])


def _with_interval(row: Row, visits: Sequence[MeasuredVisit], blocks: int) -> Row:
    """Of one block, that of all frames, those measured again at the end with them."""
    middle_ms = known(row.e2e_ms)
    found: list[Sequence[float]] = [
        visit.times.e2e_ms.tolist()
        for visit in visits
        if visit.times is not None and visit.cell.block < blocks
    ]
    interval, covers = interval_of(found if len(found) > 1 else [row.samples_ms], middle_ms)
    return replace(
        row,
        e2e_low_ms=interval.low,
        e2e_high_ms=interval.high,
        e2e_coverage_pct=None if interval.coverage is None else 100 * interval.coverage,
        e2e_covers=covers,
    )


def _mean(sizes: Sequence[Array]) -> int:
    return round(float(np.concatenate(sizes).mean()))


def _percentiles(e2e_ms: Array) -> dict[str, float]:
    """Those that so many frames support."""
    return {
        name: float(np.quantile(e2e_ms, quantile))
        for name, quantile in PERCENTILES.items()
        if len(e2e_ms) >= frames_for(quantile)
    }


def _ratios(values: Array, bounds: Array) -> Array:
    """Of frames that took no time at all, 0."""
    return np.divide(values, bounds, out=np.zeros_like(values), where=bounds > 0)


def _medians(columns: Mapping[str, Array]) -> dict[str, float]:
    """Of each column, over the frames."""
    found: list[float] = np.median(np.stack([*columns.values()]), axis=1).tolist()
    return dict(zip(columns, found, strict=True))


def _with_clock(row: Row, visits: Sequence[MeasuredVisit]) -> Row:
    """Say how sure one-way times are, and leave out those that may as well be nothing."""
    every = [visit.clocks for visit in visits if visit.clocks.models]
    if not every:
        return row
    flow = FLOWS[row.flow]
    unsure_ms = {
        hop: max(clocks.uncertainty_ms(*flow.ends(hop)) for clocks in every) for hop in flow.hops
    }
    drifts = [
        drift[0] for one in every for model in one.models.values() if (drift := model.drift_ppm)
    ]
    sound = all(visit.clock_fault is None for visit in visits)

    def told(hop: str, ms: float | None) -> float | None:
        known = ms is not None and (not unsure_ms[hop] or (sound and is_told(ms, unsure_ms[hop])))
        return ms if known else None

    ways = {f"{hop}_ms": hop for hop in flow.hops}
    ends = [(flow.source, user) for user in flow.users]
    return replace(
        row,
        uplink_ms=told("uplink", row.uplink_ms) if "uplink" in unsure_ms else None,
        downlink_ms=told("downlink", row.downlink_ms) if "downlink" in unsure_ms else None,
        of_flow=tuple(
            (name, told(ways[name], value) if name in ways else value)
            for name, value in row.of_flow
        ),
        one_way_uncertainty_ms=max(unsure_ms.values()),
        e2e_uncertainty_ms=max(one.uncertainty_ms(*both) for one in every for both in ends) or None,
        clock_drift_ppm=max(drifts, key=abs, default=None),
    )


def _with_rates(row: Row, visits: Sequence[MeasuredVisit], run: RunRecord) -> Row:
    hops = dict.fromkeys(hop for visit in visits for hop in visit.sent_bytes)
    frame_kbit = 8 * sum(_sent_bytes(visits, hop) for hop in hops) / 1e3
    rate_hz = asked_number(run, "fps", FPS)
    return replace(row, frame_kbit=frame_kbit, bitrate_mbit=frame_kbit / 1e3 * rate_hz)
