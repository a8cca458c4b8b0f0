"""The columns of a row that say what was asked: of its cell, and of the run.

What was measured is filled in by :mod:`orchestrator.results.columns.measured`.
"""

from collections.abc import Sequence
from typing import Any

from orchestrator.ask.flow import anchor_of
from orchestrator.ask.split_point import DEVICE_ANCHOR
from orchestrator.ask.sweep.options import MAX_DROP
from orchestrator.results.columns.flow import flow_columns, part_column
from orchestrator.results.records import CellRecord, RunRecord
from orchestrator.results.rows import Row
from orchestrator.results.statistics.measured_visit import MeasuredVisit, standing_for

FPS = 30.0
"""Of the first runs, which did not say."""


def asked_row(run: RunRecord, visits: Sequence[MeasuredVisit]) -> Row:
    """What was asked of the cell; it has no times, and is not judged."""
    cell = standing_for([visit.cell for visit in visits])
    blocks = {visit.cell.block for visit in visits if visit.times is not None}
    up, down = cell.link.uplink, cell.link.downlink
    parts = {
        part_column(n, "bytes"): nbytes for n, nbytes in enumerate(cell.further_bytes, start=3)
    }
    return Row(
        model=run.model.name,
        weights=run.model.weights,
        runtime=run.model.runtime,
        codec=cell.codec,
        precision=cell.precision,
        lossless=cell.lossless,
        device_model=_device_model(run, cell),
        ue=cell.ue,
        ue_slowdown=cell.ue_slowdown,
        ue_slowdown_asked=cell.ue_slowdown_asked,
        ue_cpus=cell.ue_cpus,
        load=cell.load,
        in_flight=cell.in_flight,
        split=cell.split,
        split_name=cell.split_name,
        flow=cell.flow,
        of_flow=tuple((name, parts.get(name)) for name in flow_columns(cell.flow)),
        bw_mbit=up.rate_mbit,
        delay_ms=up.delay_ms,
        jitter_ms=up.jitter_ms,
        loss_pct=up.loss_pct,
        link=cell.link_words,
        ues=len(cell.ues) or 1,
        queue_packets=up.queue_packets,
        downlink_mbit=down.rate_mbit,
        downlink_delay_ms=down.delay_ms,
        downlink_jitter_ms=down.jitter_ms,
        downlink_loss_pct=down.loss_pct,
        link_backend=cell.link_backend,
        measured_on=cell.measured_on,
        measured=1 + sum(visit.cell.measured - 1 for visit in visits),
        frames=sum(visit.frames for visit in visits),
        blocks=sum(block < blocks_of(run) for block in blocks),
        errors=sum(visit.cell.error is not None for visit in visits),
        intermediate_tensors=cell.intermediate_tensors,
        intermediate_bytes=cell.intermediate_bytes,
        part1_bytes=cell.part1_bytes,
        part2_bytes=cell.part2_bytes,
        load_ms=cell.load_ms,
        **_provider_columns(cell),
        part1_delivery_ms=cell.part1_delivery_ms,
        part1_coded_bytes=cell.delivered_coded_bytes,
        **_dial_columns(cell),
        max_drop=asked_number(run, "max_drop", MAX_DROP),
        valid=False,
        reason="",
    )


def _provider_columns(cell: CellRecord) -> dict[str, Any]:
    """Who computed its parts, and what that changed."""
    told = {node: one for node, one in cell.computed.items() if one.shares}
    offs = [one.off for one in told.values() if one.off is not None]
    types = {node: one.types_words for node, one in cell.computed.items() if one.types}
    left = [f"{node}: {one.left}" for node, one in told.items() if one.left]
    return {
        "providers": "; ".join(f"{node}: {one.words}" for node, one in told.items()) or None,
        "computed_types": "; ".join(f"{node}: {own}" for node, own in types.items()) or None,
        "provider_left": "; ".join(left) or None,
        "provider_off": max(offs, default=None),
    }


def _dial_columns(cell: CellRecord) -> dict[str, Any]:
    """How the number of its codec was found, where it was searched for."""
    if (dial := cell.dial) is None:
        return {}
    return {
        "target": dial.target,
        "target_frames": dial.frames,
        "target_kbit": dial.found.kbit,
        "target_drop": dial.found.drop,
        "target_drop_high": dial.found.drop_high,
    }


def _device_model(run: RunRecord, cell: CellRecord) -> str:
    """Of the device anchor, where it is a model of its own."""
    own, anchor = run.model.device, anchor_of(cell.flow, cell.split, cell.split_name)
    return own.name if own is not None and anchor == DEVICE_ANCHOR else ""


def asked_number(run: RunRecord, name: str, otherwise: float) -> float:
    """The option; of a run that does not say it, another number."""
    value = run.asked.get(name)
    return value if isinstance(value, int | float) else otherwise


def blocks_of(run: RunRecord) -> int:
    """In how many blocks its cells were measured."""
    return int(asked_number(run, "blocks", 1))
