"""A visit of a cell that has ended: its record, and its frames as arrays.

A block of a run visits every cell once. Visited again in the same block, as when the machine was
disturbed, the last visit counts that did not fail; a cell is all its visits that count, and its row
pools them.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from msgspec.structs import replace

from orchestrator.ask.flow import FLOWS
from orchestrator.ask.itinerary import crossings_of
from orchestrator.results.node_clocks import NodeClocks
from orchestrator.results.records import CellRecord, FrameRecord
from orchestrator.results.statistics.by_ue import UeShare, shares
from orchestrator.results.statistics.offered import Fate
from orchestrator.results.statistics.sharing import Shared, shared
from orchestrator.results.statistics.spent import cpu_ms, crossed_bytes
from orchestrator.results.statistics.times import Array, CellTimes, cell_times
from splitbed.codecs.releases import encoding_ms


@dataclass(frozen=True)
class MeasuredVisit:
    """What a visit came to; arrays have a value per frame. Without a frame there are no times."""

    cell: CellRecord
    times: CellTimes | None
    bound_ms: Array
    encoded_bytes: Array
    """What crossed of intermediate data, or of the input where none did."""
    result_bytes: Array
    sent_bytes: Mapping[str, Array]
    """What was sent on each hop."""
    max_abs_diff: float | None
    began_ns: int | None
    """When its first frame began, on the source's clock."""
    clock_fault: str | None
    computing_share: float
    """Of the time of its frames, what is not their links': for so long they need processors."""
    shares: tuple[UeShare, ...] = ()
    """What each UE had of it, where there are several."""
    fates: Sequence[Fate] = ()
    """Of all frames that were offered, also of those that are not among the others."""
    failures: Sequence[str] = ()
    """Why frames failed."""
    overlapped_ms: Array = field(default_factory=lambda: np.empty(0))
    """What encoding took while hops were on their way."""
    held_ms: Array = field(default_factory=lambda: np.empty(0))
    """What of the bound is of hops that waited for it."""
    shared: tuple[Shared, ...] = ()
    """What its frames had of parts that UEs share."""
    cpu_ms: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """What nodes computed in stages of all its frames."""
    crossed_bytes: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """What nodes sent and received in all."""

    @property
    def key(self) -> tuple[str, int]:
        """What names it in a run: its cell, and the block."""
        return self.cell.key, self.cell.block

    @property
    def frames(self) -> int:
        """How many there are."""
        return len(self.bound_ms)

    @property
    def ended(self) -> bool:
        """Whether it need not be made again: no error, and all frames there."""
        # the first runs did not count their frames; of a load none may have come through
        frames = self.cell.frames or (0 if self.fates else 1)
        return self.cell.error is None and self.frames >= frames

    @property
    def clocks(self) -> NodeClocks:
        """How far each node's clock is from the user's."""
        return self.cell.node_clocks


def measured_visit(cell: CellRecord, offered: Sequence[FrameRecord]) -> MeasuredVisit:
    """A visit and its frames."""
    clocks, frames = cell.node_clocks, [frame for frame in offered if frame.ended]
    times = cell_times(frames, clocks, cell.flow) if frames else None
    sent_bytes = _sent_bytes(frames)
    fault = None
    if clocks.models and times and times.crosses.any():
        fault = clocks.fault(frame.stages for frame in frames)
    diffs = [frame.max_abs_diff for frame in frames if frame.max_abs_diff is not None]
    bound_ms = _bound_ms(cell, frames, times) if times else np.empty(0)
    held_ms = np.zeros_like(bound_ms)
    if times and any(frame.released for frame in frames):
        held_ms = bound_ms - _bound_ms(cell, frames, times, at_once=True)
    return MeasuredVisit(
        cell,
        times,
        bound_ms,
        _encoded_bytes(cell, frames, sent_bytes),
        np.array([frame.result_bytes for frame in frames], np.float64),
        sent_bytes,
        max(diffs, default=None),
        frames[0].stages[0].start_ns if frames else None,
        fault,
        _computing_share(cell, frames, times) if times else 1.0,
        shares(cell, frames, times) if times else (),
        tuple(fate for frame in offered if (fate := frame.fate)),
        tuple(
            frame.reason
            for frame in offered
            if frame.outcome == "error" and isinstance(frame.reason, str)
        ),
        np.array([_overlapped_ms(cell.flow, one) for one in frames], np.float64),
        held_ms,
        shared(frames),
        cpu_ms(frames),
        crossed_bytes(cell.flow, frames),
    )


def _bound_ms(
    cell: CellRecord,
    frames: Sequence[FrameRecord],
    times: CellTimes,
    *,
    working: bool = True,
    at_once: bool = False,
) -> Array:
    """Over the way of whose frame it is; of nodes that are not `working` what the links take."""
    how = {"working": working, "at_once": at_once}
    bound = partial(times.bound_ms, frames, segments=cell.segments, **how)
    found = bound(*cell.every_link, shared=cell.shared)
    for one in cell.ues:
        if one.link != cell.link:
            own = np.array([frame.ue == one.name for frame in frames])
            found[own] = bound(one.link)[own]
    return found


def _computing_share(cell: CellRecord, frames: Sequence[FrameRecord], times: CellTimes) -> float:
    links_ms, took_ms = _bound_ms(cell, frames, times, working=False).sum(), times.e2e_ms.sum()
    return float(np.clip(1 - links_ms / took_ms, 0, 1)) if took_ms else 1.0


def _overlapped_ms(flow: str, frame: FrameRecord) -> float:
    """What its senders encoded meanwhile: once what went several ways."""
    own = FLOWS[flow]  # a hop that is none of its, which a file may have, has no sender
    told = {hop: encoding_ms(found) for hop, found in frame.released if hop in own.hops}
    return sum({own.ends(hop)[0]: ms for hop, ms in told.items()}.values())


def _sent_bytes(frames: Sequence[FrameRecord]) -> dict[str, Array]:
    every = [{hop.name: hop.bytes for hop in frame.sent} for frame in frames]
    names = dict.fromkeys(name for sent in every for name in sent)
    return {name: np.array([sent.get(name, 0) for sent in every], np.float64) for name in names}


def _encoded_bytes(
    cell: CellRecord, frames: Sequence[FrameRecord], sent_bytes: Mapping[str, Array]
) -> Array:
    """What went over the last hop that carries no results."""
    layers, coded = sum(cell.layers), FLOWS[cell.flow].codes_outputs
    carrying = [hop for hop, cut in crossings_of(cell.flow, cell.split) if coded or cut < layers]
    if carrying and carrying[-1] in sent_bytes:
        return sent_bytes[carrying[-1]]
    return np.zeros(len(frames))


def counting(cells: Iterable[CellRecord]) -> Mapping[str, Sequence[CellRecord]]:
    """The visits that count of those that ended, in this order: by key, block by block."""
    found: dict[str, dict[int, CellRecord]] = {}
    for cell in cells:
        visits = found.setdefault(cell.key, {})
        if was_elsewhere(visits.values(), cell):
            visits.clear()
        visits[cell.block] = counting_of(visits.get(cell.block), cell)
    return {key: [visits[block] for block in sorted(visits)] for key, visits in found.items()}


def counting_of(before: CellRecord | None, again: CellRecord) -> CellRecord:
    """Which of two visits in a block counts: the later one, or the one before if it alone failed.

    That is told.
    """
    if before is None or before.fault or not again.fault:
        return again
    return replace(before, measured=again.measured, failed_again=again.fault)


def was_elsewhere(before: Iterable[CellRecord], again: CellRecord) -> bool:
    """Whether a cell was on another machine before: what unlike machines say is never pooled."""
    return any(visit.measured_on != again.measured_on for visit in before)


def standing_for(visits: Sequence[CellRecord]) -> CellRecord:
    """The one that tells what the cell is: the first, or the first that failed."""
    return next((cell for cell in visits if cell.error is not None), visits[0])
