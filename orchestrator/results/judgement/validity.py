"""Whether a row counts: the rules that a measurement keeps, and what a valid row says of itself.

A row is VALID when every frame ran, the link was proved before and after, the stages explain the
end-to-end time, no frame beat its physical floor, and the split output is the whole model's.
"""

from collections.abc import Sequence

from netem.wire import wire_ms
from orchestrator.ask.flow import delivery_hop, of_link, shape_of
from orchestrator.results.records import CellRecord, MachineRecord, RunRecord
from orchestrator.results.rows import Row, known
from splitbed.graphs.graph import why_runs_differ

MAX_GAP_SHARE = 0.01
"""Stages add up to the end-to-end time within this share …"""
MAX_GAP_MS = 0.5
"""… or leave no more than this, which is Python going from one stage to the next."""
ASLEEP = 3.0
"""So many times that, where stages of a slowed UE end in a wait: what follows runs on a processor
that slept, with cold caches (0.43 ms from encoding to the link where 0.08 are usual)."""
MAX_SHARED = 0.8
"""Others' share of the processors beyond which it excuses no more."""
MAX_ABS_DIFF = 1e-3
"""Largest difference of split from whole output (clause 10.2.8)."""
MIN_OVER_BOUND = 0.98
"""Nothing beats physics: a frame faster than this was not over the link that was asked."""

MAX_PACE_ERROR = 0.10
"""A UE is as slow as was asked within this share of that."""


def faults_of(
    row: Row, run: RunRecord, cell: CellRecord, clock_fault: str | None = None
) -> list[str]:
    """Why the row does not count."""
    faults = [cell.error] if cell.error else []
    if clock_fault and row.e2e_uncertainty_ms:
        faults.append(f"its frames end on another clock than they began, and {clock_fault}")
    # the first runs did not count their frames; of a load none may have come through
    lost = (cell.frames or (0 if row.offered else 1)) - row.frames
    if lost > 0 and not faults:
        faults.append(f"{lost} of its frames are missing from samples.jsonl")
    if row.e2e_ms is not None:
        faults += _timing(row, run.model.drawing, cell.machine)
    if row.part1_delivery_ms and row.ue_part_bytes:
        crossed = row.ue_part_bytes if row.part1_coded_bytes is None else row.part1_coded_bytes
        hop = delivery_hop(cell.flow)
        segment = of_link(cell.segments, hop)
        floor_ms = wire_ms(crossed, shape_of(cell.every_link, hop), *segment)
        if row.part1_delivery_ms < MIN_OVER_BOUND * floor_ms:
            faults.append(
                f"part {row.ue_part} was delivered faster than physics: the link was not as asked"
            )
    return faults + [proof.fault for proof in cell.proofs if proof.fault]


def _timing(row: Row, drawing: Sequence[str], machine: MachineRecord | None) -> list[str]:
    faults: list[str] = []
    gap, over, diff = known(row.gap_pct), known(row.e2e_over_bound), row.max_abs_diff
    unsure = (row.e2e_uncertainty_ms or 0.0) / known(row.bound_ms) if row.bound_ms else 0.0
    # a slowed UE is slower between its stages, too
    slow = max(1.0, 1 / row.ue_cpus) if row.ue_cpus else 1.0
    if (row.ue_slowdown_asked or 1.0) > 1:
        slow = max(slow, ASLEEP)
    slow = max(slow, _under_way(row))  # each of them takes turns with the others between its stages
    slow = max(slow, _shared(machine))
    if gap > 100 * MAX_GAP_SHARE and _gap_ms(row) > MAX_GAP_MS * slow:
        faults.append(f"stages leave {gap:.1f} % of the end-to-end time unexplained")
    if over + unsure < MIN_OVER_BOUND:
        faults.append(f"faster than its physical floor ({over:.3f}): the link was not as asked")
    if row.lossless and diff is not None and diff > MAX_ABS_DIFF:
        why = f": {words}" if (words := why_runs_differ(drawing)) else ""
        faults.append(f"split output differs from the whole model's by {diff:.2g}{why}")
    return faults


def _under_way(row: Row) -> float:
    """How many frames of a load are at once, by Little's law."""
    return (row.delivered_fps or 0) * (row.e2e_ms or 0) / 1000


def _shared(machine: MachineRecord | None) -> float:
    """How many times as long it takes to get a processor that others use, too."""
    others = machine and (machine.others_share or 0) + (machine.steal_share or 0)
    return 1 / (1 - min(others or 0, MAX_SHARED))


def _gap_ms(row: Row) -> float:
    return known(row.gap_pct) / 100 * known(row.e2e_ms)


def remarks_on(row: Row, clock_fault: str | None, failed_again: str = "") -> list[str]:
    """What a valid row says for itself; it counts though a later attempt at it failed."""
    remarks = [f"valid, though {clock_fault}"] if clock_fault else []
    if unsure_ms := row.e2e_uncertainty_ms:
        remarks.append(
            f"valid, though its end-to-end time, which ends on another clock than it began, is "
            f"unsure by {unsure_ms:.2g} ms"
        )
    if left := row.provider_left:
        remarks.append(f"valid, though not all ran on the provider that was asked for: {left}")
    if "fp16" in row.precision and "fp16" not in (row.computed_types or "fp16"):
        remarks.append(f"valid, though FP32 computes what is FP16 in a file: {row.computed_types}")
    if failed_again:
        remarks.append(f"valid, though it failed when measured again: {failed_again}")
    if row.gap_pct is not None and row.gap_pct > 100 * MAX_GAP_SHARE:
        remarks.append(f"valid, though Python took {_gap_ms(row):.2f} ms to go from stage to stage")
    return remarks


def is_off_pace(row: Row) -> bool:
    """Whether the UE was not as slow as was asked; not where nobody knows."""
    asked, was = row.ue_slowdown_asked, row.ue_slowdown
    if asked is None or was is None:
        return False
    return abs(was - asked) > MAX_PACE_ERROR * asked + 1e-9


def pace_remark(row: Row) -> str | None:
    """What a row says whose UE was not as slow as was asked; else None."""
    if not is_off_pace(row):
        return None
    return (
        f"valid, though the UE was {known(row.ue_slowdown):.2f} times slower, not "
        f"{known(row.ue_slowdown_asked):.3g} times: part {row.ue_part} is too short or the machine "
        "was too busy to steer it within 10 %"
    )


def pace_words(rows: Sequence[Row]) -> str:
    """The pace of the UE in rows for which the same was asked, as measured; empty: its own.

    ``4x slower``; or ``1.9x to 3.5x slower, asked 4x slower`` where one was off.
    """
    if not any(is_off_pace(row) for row in rows):
        return rows[0].ue
    was = sorted(row.ue_slowdown for row in rows if row.ue_slowdown is not None)
    ends = dict.fromkeys((f"{was[0]:.1f}x", f"{was[-1]:.1f}x"))
    return f"{' to '.join(ends)} slower, asked {rows[0].ue}"
