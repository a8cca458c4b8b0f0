"""What a trace amounts to: VALID, or INVALID with the rule that failed.

A trace is VALID when every policy asked had its turn and lost no frame, the link was proved at its
least and its greatest rate before the turns and after them, the link followed the trace, no frame
beat its physical floor, each ran the cut that its policy chose, and lossless ones gave the whole
model's results.
"""

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, takewhile

from netem.spec import LinkSpec
from netem.wire import USUAL_SEGMENT, Segment
from orchestrator.adapt.bandwidth import BandwidthTrace
from orchestrator.adapt.rows import STEP_RATIO, TracedFrame, Turn
from orchestrator.ask.sweep.cell import Cell
from orchestrator.results.judgement.validity import (
    MAX_ABS_DIFF,
    MAX_GAP_MS,
    MAX_GAP_SHARE,
    MIN_OVER_BOUND,
)
from orchestrator.results.judgement.verdict import Verdict
from orchestrator.results.records import ProofRecord, segment_of
from orchestrator.results.statistics.bound import crossing_ms, is_node_stage

MAX_BEHIND = 0.1
"""For so much of a turn the link may be a step away from the trace: at twice its rate, or half."""
MAX_LATE_S = 0.1
"""So long before it was seen to be made a change may have been made."""
MAX_FAST = 0.01
"""So many of a turn's frames may seem faster than physics: when a rate changed is known so well."""


@dataclass(frozen=True)
class TraceAsked:
    """What a trace was to be: its policies, rates, and cells, and the link at each rate."""

    policies: Sequence[str]
    trace: BandwidthTrace
    links: Mapping[float, LinkSpec]
    cells: Sequence[Cell]


def judge_trace(
    asked: TraceAsked,
    turns: Mapping[str, Turn],
    proofs: Sequence[tuple[LinkSpec, ProofRecord]],
    stopped: str | None = None,
) -> Verdict:
    """The verdict on the turns that there were."""
    reasons = [f"the link of {link.words}: {proof.fault}" for link, proof in proofs if proof.fault]
    carried = segment_of([proof for _, proof in proofs])
    for policy, turn in turns.items():
        reasons += [f"{policy}: {fault}" for fault in faults_of(turn, asked, carried)]
    if stopped:
        reasons.append(stopped)
    elif len(proofs) < 2 * len({min(asked.links), max(asked.links)}):
        reasons.append("the link was not proved before the turns and after them")
    if missing := [name for name in asked.policies if name not in turns]:
        reasons.append(f"had no turn: {', '.join(missing)}")
    return Verdict(not reasons, tuple(reasons), ())


def faults_of(turn: Turn, asked: TraceAsked, carried: Segment = USUAL_SEGMENT) -> Iterator[str]:
    """Why a policy's turn does not count."""
    if turn.lost:
        yield f"a frame of {turn.lost.split} was lost: {turn.lost.error}"
    if not turn.frames:
        return
    cells = {(one.configuration.k, one.configuration.codec): one for one in asked.cells}
    behind = behind_share(asked.trace, turn.applied, turn.frames[-1].start_s)
    if behind > MAX_BEHIND:
        yield f"the link was a step away from the trace for {behind:.0%} of the time"
    if other := sum(not _is_of(frame, cells[frame.key]) for frame in turn.frames):
        yield f"{other} of its {len(turn.frames)} frames were not of the cut that it chose"
    fast = sum(
        frame.e2e_ms < MIN_OVER_BOUND * _floor_ms(frame, turn.applied, asked.links, carried)
        for frame in turn.frames
    )
    if fast > MAX_FAST * len(turn.frames):
        yield f"{fast} of its {len(turn.frames)} frames were faster than their physical floor"
    gap_ms = statistics.median(frame.gap_ms for frame in turn.frames)
    share = statistics.median(frame.gap_ms / frame.e2e_ms for frame in turn.frames if frame.e2e_ms)
    slow = max(1.0, asked.cells[0].configuration.pace.most)  # also between its stages
    if share > MAX_GAP_SHARE and gap_ms > MAX_GAP_MS * slow:
        yield f"stages leave {share:.1%} of the end-to-end time unexplained"
    diffs = [f.max_abs_diff or 0.0 for f in turn.frames if cells[f.key].configuration.lossless]
    if (diff := max(diffs, default=0.0)) > MAX_ABS_DIFF:
        yield f"split output differs from the whole model's by {diff:.2g}"


def behind_share(trace: BandwidthTrace, applied: BandwidthTrace, end_s: float) -> float:
    """For how much of the time until then the link was a step away from the trace."""
    due_s = [at_s for at_s, _ in takewhile(lambda change: change[0] < end_s, trace.changes())]
    had_s = [at_s for at_s in applied.starts_s if at_s < end_s]
    moments = sorted({0.0, *due_s, *had_s, end_s})
    off_s = sum(
        to_s - from_s
        for from_s, to_s in pairwise(moments)
        if _is_step(trace.rate_at(from_s), applied.rate_at(from_s))
    )
    return off_s / end_s if end_s else 0.0


def _is_step(one: float, other: float) -> bool:
    return one != other and max(one, other) >= STEP_RATIO * min(one, other)


def _is_of(frame: TracedFrame, cell: Cell) -> bool:
    """Whether the frame sent what that cut sends: its bytes before they were encoded."""
    if not cell.configuration.crosses:
        return not frame.timeline.crosses
    return frame.timeline.crosses and frame.intermediate_bytes == cell.crossing_bytes


def _floor_ms(
    frame: TracedFrame,
    applied: BandwidthTrace,
    links: Mapping[float, LinkSpec],
    carried: Segment,
) -> float:
    """What the frame takes at least: its work, and the wire at the best rate that it can have met.

    A frame that crossed in an outage has none that it may take.
    """
    timeline = frame.timeline
    work_ms = sum(stage.ms for stage in timeline.stages if is_node_stage(stage.name))
    if not timeline.crosses:
        return work_ms
    end_s = frame.start_s + frame.e2e_ms / 1e3 + MAX_LATE_S
    met = takewhile(lambda change: change[0] <= end_s, applied.changes(frame.start_s))
    best_mbit = max(applied.rate_at(frame.start_s), *(rate for _, rate in met), 0.0)
    if not best_mbit:
        return math.inf
    link = links[best_mbit]
    early_ms = link.uplink.jitter_ms + link.downlink.jitter_ms
    wire_ms = crossing_ms(frame.sent, [link], [carried])
    return work_ms + wire_ms - early_ms
