"""The rows of a run: each made of one cell and its frames, then completed by what others say."""

from collections.abc import Mapping, Sequence
from statistics import fmean

import numpy as np
from msgspec.structs import replace

from netem.wire import SEGMENT_BYTES
from orchestrator.ask.split_point import NOTHING
from orchestrator.ask.sweep_config import MAX_DROP
from orchestrator.results.clock import ClockModel, is_told
from orchestrator.results.columns.main import PERCENTILES
from orchestrator.results.judgement.anchors import compared
from orchestrator.results.judgement.disturbance import disturbed_by, marked
from orchestrator.results.judgement.validity import faults_of, pace_remark, remarks_on
from orchestrator.results.prediction import Way, Work, e2e_ms
from orchestrator.results.profile import Profile
from orchestrator.results.records import (
    Accuracy,
    CellRecord,
    FrameRecord,
    MachineRecord,
    ProofRecord,
    RunRecord,
)
from orchestrator.results.rows import Row, known
from orchestrator.results.statistics.intervals import frames_for, median_interval
from orchestrator.results.statistics.times import Array, cell_times
from splitbed.timeline import STAGES

FPS = 30.0
"""Of the first runs, which did not say."""


def completed(table: Sequence[Row], profile: Profile | None) -> list[Row]:
    """The rows of all cells, each with what the others and the profile say of it."""
    done = compared(_with_slowdowns(table))
    return marked([_with_prediction(row, profile) for row in done] if profile else done)


def measured_row(run: RunRecord, cell: CellRecord, frames: Sequence[FrameRecord]) -> Row:
    """What a cell and its frames say by themselves."""
    row = _with_accuracy(_asked(run, cell, len(frames)), cell, run.whole_accuracy)
    clock_fault = None
    if frames:
        row, clock_fault = _with_times(row, cell, frames)
        row = _with_rates(row, run)
    if cell.proofs:
        row = _with_link(row, cell.proofs)
    if cell.machine:
        row = _with_machine(row, cell.machine)
    faults = faults_of(row, run, cell)
    reason = "; ".join(faults or remarks_on(row, clock_fault))
    return replace(row, valid=not faults, reason=reason, disturbed=disturbed_by(cell))


def _asked(run: RunRecord, cell: CellRecord, frames: int) -> Row:
    up, down = cell.link.uplink, cell.link.downlink
    return Row(
        model=run.model.name,
        weights=run.model.weights,
        runtime=run.model.runtime,
        codec=cell.codec,
        lossless=cell.lossless,
        ue=cell.ue,
        ue_slowdown=cell.ue_slowdown,
        ue_slowdown_asked=cell.ue_slowdown_asked,
        ue_cpus=cell.ue_cpus,
        split=cell.split,
        split_name=cell.split_name,
        bw_mbit=up.rate_mbit,
        delay_ms=up.delay_ms,
        jitter_ms=up.jitter_ms,
        loss_pct=up.loss_pct,
        link=cell.link.words,
        queue_packets=up.queue_packets,
        downlink_mbit=down.rate_mbit,
        downlink_delay_ms=down.delay_ms,
        downlink_jitter_ms=down.jitter_ms,
        downlink_loss_pct=down.loss_pct,
        link_backend=cell.link_backend,
        measured=cell.measured,
        frames=frames,
        errors=0 if cell.error is None else 1,
        intermediate_tensors=cell.intermediate_tensors,
        intermediate_bytes=cell.intermediate_bytes,
        part1_bytes=cell.part1_bytes,
        part2_bytes=cell.part2_bytes,
        load_ms=cell.load_ms,
        part1_delivery_ms=cell.part1_delivery_ms,
        max_drop=_asked_number(run, "max_drop", MAX_DROP),
        valid=False,
        reason="",
    )


def _asked_number(run: RunRecord, name: str, otherwise: float) -> float:
    """The option; of a run that does not say it, another number."""
    value = run.asked.get(name)
    return value if isinstance(value, int | float) else otherwise


def _with_accuracy(row: Row, cell: CellRecord, whole: Accuracy | None) -> Row:
    """Of a lossless row, that of the whole model, which its difference proves."""
    judged = whole if row.lossless else cell.accuracy
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
        accuracy_link_diff=judged.link_diff,
        accuracy_frames=judged.frames,
    )


def _with_times(
    row: Row, cell: CellRecord, frames: Sequence[FrameRecord]
) -> tuple[Row, str | None]:
    """The times, and why one-way times are not known, where they are not."""
    clock = cell.clock.model if cell.clock else None
    times = cell_times(frames, clock)
    bound = times.bound_ms(frames, cell.link, cell.segment_bytes)
    columns = {f"{name}_ms": times.ms(name) for name in STAGES}
    columns |= {"network_ms": times.ms("uplink", "downlink"), "gap_pct": 100 * times.gap_share}
    columns |= {"e2e_ms": times.e2e_ms, "bound_ms": bound}
    columns["e2e_over_bound"] = _ratios(times.e2e_ms, bound)
    interval = median_interval(times.e2e_ms.tolist())
    diffs = [frame.max_abs_diff for frame in frames if frame.max_abs_diff is not None]
    row = replace(
        row,
        **_medians(columns),
        samples_ms=tuple(times.e2e_ms.tolist()),
        **_percentiles(times.e2e_ms),
        e2e_low_ms=interval.low,
        e2e_high_ms=interval.high,
        e2e_coverage_pct=None if interval.coverage is None else 100 * interval.coverage,
        # of a codec whose bytes depend on the content, the mean
        encoded_bytes=round(fmean([frame.encoded_bytes for frame in frames])),
        result_bytes=round(fmean([frame.result_bytes for frame in frames])),
        max_abs_diff=max(diffs, default=None),
    )
    if clock is None or not times.crosses.any():
        return row, None
    return _with_clock(row, clock, clock.fault(frame.stages for frame in frames))


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


def _with_clock(row: Row, clock: ClockModel, fault: str | None) -> tuple[Row, str | None]:
    """Say how sure one-way times are, and leave out those that may as well be nothing."""
    unsure_ms, drift = clock.uncertainty_ms, clock.drift_ppm

    def told(ms: float | None) -> float | None:
        return ms if fault is None and is_told(known(ms), unsure_ms) else None

    row = replace(
        row,
        uplink_ms=told(row.uplink_ms),
        downlink_ms=told(row.downlink_ms),
        one_way_uncertainty_ms=unsure_ms,
        clock_drift_ppm=drift[0] if drift else None,
    )
    return row, fault


def _with_rates(row: Row, run: RunRecord) -> Row:
    kbit = 8 * (known(row.encoded_bytes) + known(row.result_bytes)) / 1e3
    frame_kbit = 0.0 if row.codec == NOTHING else kbit
    rate_hz = _asked_number(run, "fps", FPS)
    return replace(row, frame_kbit=frame_kbit, bitrate_mbit=frame_kbit / 1e3 * rate_hz)


def _with_link(row: Row, proofs: Sequence[ProofRecord]) -> Row:
    row = replace(
        row,
        link_mbit=fmean([proof.uplink_mbit for proof in proofs]),
        link_down_mbit=fmean([proof.downlink_mbit for proof in proofs]),
        link_rtt_ms=fmean([proof.rtt_min_ms for proof in proofs]),
        link_attempts=max(proof.attempts or 0 for proof in proofs) or None,
    )
    first, last = proofs[0].tcp, proofs[-1].tcp
    if first is None or last is None:
        return row
    return replace(
        row,
        link_retransmits=last.retransmits - first.retransmits,
        tcp=last.congestion_control,
        cwnd_segments=last.cwnd_segments,
        mss_bytes=last.mss_bytes,
    )


def _with_machine(row: Row, machine: MachineRecord) -> Row:
    def pct(share: float | None) -> float | None:
        return None if share is None else 100 * share

    return replace(
        row,
        others_pct=pct(machine.others_share),
        steal_pct=pct(machine.steal_share),
        pressure_pct=pct(machine.pressure_share),
        load_average=machine.load_average,
        cpu_mhz=machine.mhz,
        preemptions=machine.preemptions,
    )


def _with_slowdowns(table: Sequence[Row]) -> list[Row]:
    """What frames saw, where the run has the cell at the UE's own pace; else as tried alone.

    A row whose pace is not what was asked says so.
    """
    own = {
        (row.split, row.codec, row.link): row.part1_ms
        for row in table
        if not row.ue and row.part1_ms
    }

    def of(row: Row) -> Row:
        at_own_pace = own.get((row.split, row.codec, row.link))
        if row.ue and not row.is_network_anchor and row.part1_ms and at_own_pace is not None:
            row = replace(row, ue_slowdown=row.part1_ms / at_own_pace)
        if row.valid and (remark := pace_remark(row)):
            row = replace(row, reason="; ".join(filter(None, (row.reason, remark))))
        return row

    return [of(row) for row in table]


def _with_prediction(row: Row, profile: Profile) -> Row:
    """What the profile says of part 1 and part 2; the formula of plans makes the rest of it."""
    part1_ms, part2_ms = profile.predicted_ms(row.layers[0])
    if row.ue_slowdown is not None:
        part1_ms *= row.ue_slowdown
    row = replace(row, part1_predicted_ms=part1_ms, part2_predicted_ms=part2_ms)
    if not row.e2e_ms:
        return row
    nodes_ms = known(row.part1_ms) + known(row.part2_ms)
    quiet_ms = known(row.bound_ms) - nodes_ms + part1_ms + part2_ms
    predicted_ms = _predicted_ms(row, part1_ms, part2_ms)
    return replace(
        row,
        e2e_predicted_ms=predicted_ms,
        e2e_over_quiet=row.e2e_ms / quiet_ms if quiet_ms else None,
        prediction_error_pct=100 * (predicted_ms / row.e2e_ms - 1),
    )


def _predicted_ms(row: Row, part1_ms: float, part2_ms: float) -> float:
    """End to end, with parts that take so long on a UE of this pace."""
    of = np.array
    work = Work(
        part1_ms=of([part1_ms]),
        encode_ms=of([known(row.encode_ms)]),
        decode_ms=of([known(row.decode_ms)]),
        part2_ms=of([part2_ms]),
        sent_bytes=of([known(row.encoded_bytes)]),
        crosses=of([row.codec != NOTHING]),
        result_ms=known(row.result_ms),
        result_bytes=row.result_bytes or 0,
    )
    up = Way(of([row.bw_mbit]), of([row.delay_ms]))
    down = Way(of([row.downlink_mbit]), of([row.downlink_delay_ms]))
    # what was measured is at the UE's pace already
    predicted = e2e_ms(work, np.ones(1), up, down, row.mss_bytes or SEGMENT_BYTES)
    return float(predicted.item())
