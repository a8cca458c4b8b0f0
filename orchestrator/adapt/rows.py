"""What the policies of a bandwidth trace came to: rows, recomputed from the raw samples.

The oracle knows the link: for each frame it takes the arm that would have been fastest from that
moment on, over the rates that were really applied. What an arm takes beside the wire's own time is
the median of all its frames in this run, so the oracle meets the same machine as the policies do.
"""

import statistics
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from orchestrator.adapt.arms import Arm, ArmKey
from orchestrator.adapt.bandwidth import BandwidthTrace
from orchestrator.results.json_record import Record
from orchestrator.results.records import FrameRecord
from orchestrator.results.statistics.intervals import frames_for
from splitbed.timeline import Timeline

STEP_RATIO = 2.0
IN_A_ROW = 3
AGREES = 1.05
"""A choice is the oracle's when it costs no more than this many times the oracle's."""


class TracedFrame(FrameRecord, frozen=True, kw_only=True, gc=False):
    """A frame of a policy's turn, or of the rehearsal: it began at `start_s` of the trace."""

    k: int
    split: str
    codec: str
    start_s: float
    e2e_ms: float
    uplink_ms: float
    gap_ms: float = 0.0
    """What no stage accounts for."""

    @property
    def key(self) -> ArmKey:
        """That of its arm."""
        return self.k, self.codec

    @property
    def timeline(self) -> Timeline:
        """Its stages, each on the clock of its node."""
        return Timeline(list(self.stages))

    @property
    def lead_ms(self) -> float:
        """From the frame's begin until its bytes were sent; where none were, until its end."""
        ends = [one.start_ns for one in self.stages if one.name == "uplink"]
        return ((ends or [self.stages[-1].end_ns])[0] - self.stages[0].start_ns) / 1e6


class LostFrame(Record, frozen=True, kw_only=True):
    """A frame that did not come back, and why: the last of its policy's turn."""

    attempt: str
    k: int
    split: str
    codec: str
    start_s: float
    error: str


@dataclass
class Turn:
    """A policy's frames over the trace, and the link that they had: `applied` is what it was.

    `changes` say when each rate should have begun, when it had, and the rate.
    """

    applied: BandwidthTrace
    frames: list[TracedFrame] = field(default_factory=list)
    lost: LostFrame | None = None
    changes: list[tuple[float, float, float]] = field(default_factory=list)


class TraceRow(Record, frozen=True, kw_only=True):
    """What a policy came to; what cannot be told is None. Times are over the frames not lost.

    `p95_ms` needs :func:`frames_for` so many frames. What the oracle took, and so the regret, the
    steps and who readapted, rest on all turns: they are known when the last one has ended.

    `held` are frames that crossed the link and met an outage.
    """

    policy: str
    frames: int
    lost: int
    held: int = 0
    seconds: float | None = None
    mean_ms: float | None = None
    p95_ms: float | None = None
    oracle_mean_ms: float | None = None
    regret_pct: float | None = None
    switches: int | None = None
    steps: int | None = None
    switches_per_step: float | None = None
    readapted: int | None = None
    readapt_s: float | None = None
    readapt_worst_s: float | None = None
    max_abs_diff: float | None = None

    @property
    def words(self) -> str:
        """In a few words, of which no later turn changes one."""
        if self.mean_ms is None:
            return f"{self.policy}: no frame"
        held = f", {self.held} held by outages" if self.held else ""
        p95 = "" if self.p95_ms is None else f", p95 {self.p95_ms:.2f} ms"
        return (
            f"{self.policy}: {self.frames} frames, {self.lost} lost{held}, "
            f"mean {self.mean_ms:.2f} ms{p95}"
        )


@dataclass(frozen=True)
class Cost:
    """What an arm takes in this run: `lead_ms` until its bytes are sent, `fixed_ms` in all.

    Neither has the wire's own time in it.
    """

    arm: Arm
    lead_ms: float
    fixed_ms: float

    def e2e_ms(self, applied: BandwidthTrace, start_s: float) -> float:
        """What a frame that begins at `start_s` of the trace takes."""
        carried, sent_s = self.arm.segment_bytes, start_s + self.lead_ms / 1e3
        up_ms = applied.air_ms(self.arm.up_bytes, sent_s, carried)
        back_s = start_s + (self.fixed_ms + up_ms) / 1e3
        return self.fixed_ms + up_ms + applied.air_ms(self.arm.down_bytes, back_s, carried)


def costs(arms: Sequence[Arm], turns: Collection[Turn]) -> list[Cost]:
    """What each arm takes, by the frames of all policies and of the rehearsal."""
    found = []
    for arm in arms:
        mine = [
            (turn.applied, frame) for turn in turns for frame in turn.frames if frame.key == arm.key
        ]
        beside = [
            max(frame.e2e_ms - first.e2e_ms(applied, frame.start_s), 0.0)
            for applied, frame in mine
            if (first := Cost(arm, frame.lead_ms, 0.0))
        ]
        if mine:
            lead_ms = statistics.median(frame.lead_ms for _, frame in mine)
            found.append(Cost(arm, lead_ms, statistics.median(beside)))
    return found


def unsteadiness(arms: Sequence[Arm], turns: Collection[Turn]) -> float:
    """By which share an arm took more beside the wire in one turn than in another, at most.

    Of turns that had enough frames of it. Policies can be compared on the same machine alone.
    """
    shares = [0.0]
    for arm in arms:
        own = [turn for turn in turns if sum(f.key == arm.key for f in turn.frames) >= IN_A_ROW]
        took_ms = [cost.fixed_ms for turn in own for cost in costs([arm], [turn])]
        if len(took_ms) > 1 and min(took_ms) > 0:
            shares.append(max(took_ms) / min(took_ms) - 1)
    return max(shares)


def policy_row(
    policy: str,
    frames: Sequence[TracedFrame],
    applied: BandwidthTrace,
    known: Sequence[Cost],
    lost: int = 0,
) -> TraceRow:
    """The row of the frames of one policy, of which so many more were lost."""
    if not frames:
        return TraceRow(policy=policy, frames=0, lost=lost)
    taken_ms = [frame.e2e_ms for frame in frames]
    best_ms = [_best_ms(known, applied, frame.start_s) for frame in frames]
    mean_ms, oracle_ms = statistics.fmean(taken_ms), statistics.fmean(best_ms)
    diffs = [frame.max_abs_diff for frame in frames if frame.max_abs_diff is not None]
    times_s, steps = readapt_times_s(frames, applied, known)
    switches = sum(a.key != b.key for a, b in pairwise(frames))
    return TraceRow(
        policy=policy,
        frames=len(frames),
        lost=lost,
        held=sum(_met_an_outage(frame, applied, known) for frame in frames),
        seconds=frames[-1].start_s + frames[-1].e2e_ms / 1e3,
        mean_ms=mean_ms,
        p95_ms=float(np.percentile(taken_ms, 95)) if len(frames) >= frames_for(0.95) else None,
        oracle_mean_ms=oracle_ms,
        regret_pct=(mean_ms / oracle_ms - 1) * 100 if oracle_ms else None,
        switches=switches,
        steps=steps,
        switches_per_step=switches / steps if steps else None,
        readapted=len(times_s),
        readapt_s=statistics.median(times_s) if times_s else None,
        readapt_worst_s=max(times_s, default=None),
        max_abs_diff=max(diffs, default=None),
    )


def _met_an_outage(frame: TracedFrame, applied: BandwidthTrace, known: Sequence[Cost]) -> bool:
    crosses = any(c.arm.up_bytes for c in known if c.arm.key == frame.key)
    return crosses and applied.is_out(frame.start_s, frame.start_s + frame.e2e_ms / 1e3)


def _best_ms(known: Sequence[Cost], applied: BandwidthTrace, start_s: float) -> float:
    return min(cost.e2e_ms(applied, start_s) for cost in known)


def readapt_times_s(
    frames: Sequence[TracedFrame], applied: BandwidthTrace, known: Sequence[Cost]
) -> tuple[list[float], int]:
    """Seconds from each step of the rate to the first of some frames that agree with the oracle.

    A step is a change of :data:`STEP_RATIO` or more; there have to be :data:`IN_A_ROW` frames
    before the next, and so many have to agree one after another. The times of the steps where they
    did, and how many steps there were.
    """
    by_key = {cost.arm.key: cost for cost in known}
    steps = steps_s(applied)
    times_s, counted = [], 0
    for begin_s, end_s in pairwise([*steps, float("inf")]):
        within = [frame for frame in frames if begin_s <= frame.start_s < end_s]
        if len(within) < IN_A_ROW:
            continue
        counted += 1
        agree = [
            by_key[frame.key].e2e_ms(applied, frame.start_s)
            <= AGREES * _best_ms(known, applied, frame.start_s)
            for frame in within
        ]
        for place in range(len(agree) - IN_A_ROW + 1):
            if all(agree[place : place + IN_A_ROW]):
                times_s.append(within[place].start_s - begin_s)
                break
    return times_s, counted


def steps_s(applied: BandwidthTrace) -> list[float]:
    """When the rate became, from one moment to the next, so many times more or less."""
    rates = pairwise(applied.rates_mbit)
    return [
        at_s
        for at_s, (before, after) in zip(applied.starts_s[1:], rates, strict=True)
        if max(before, after) >= STEP_RATIO * min(before, after)
    ]
