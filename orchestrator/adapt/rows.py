"""What the policies of a bandwidth trace came to: rows, recomputed from the raw samples.

The oracle knows the link: for each frame it takes the split that would have been fastest from that
moment on, over the rates that were really applied. What a split takes beside the wire's own time is
the median of all its frames in this run, so the oracle meets the same machine as the policies do.
"""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from orchestrator.adapt.bandwidth import BandwidthTrace
from orchestrator.adapt.policies import Arm
from orchestrator.results.run_folder import Record

COLUMNS = (
    "policy", "frames", "lost", "seconds", "mean_ms", "p95_ms", "oracle_mean_ms", "regret_pct",
    "switches", "steps", "readapted", "readapt_s", "readapt_worst_s", "max_abs_diff",
)  # fmt: skip

STEP_RATIO = 2.0
IN_A_ROW = 3
AGREES = 1.05
"""A choice is the oracle's when it costs no more than this many times the oracle's."""

REHEARSAL = "rehearsal"


@dataclass(frozen=True)
class Cost:
    """What a split takes in this run: `lead_ms` until its bytes are sent, `fixed_ms` in all.

    Neither has the wire's own time in it.
    """

    arm: Arm
    lead_ms: float
    fixed_ms: float

    def e2e_ms(self, applied: BandwidthTrace, start_s: float) -> float:
        """What a frame that begins at `start_s` of the trace takes."""
        up_ms = applied.air_ms(self.arm.up_bytes, start_s + self.lead_ms / 1e3)
        back_s = start_s + (self.fixed_ms + up_ms) / 1e3
        return self.fixed_ms + up_ms + applied.air_ms(self.arm.down_bytes, back_s)


def costs(
    arms: Sequence[Arm], samples: Sequence[Record], applied: Mapping[str, BandwidthTrace]
) -> list[Cost]:
    """What each arm takes, by the frames of all policies and of the rehearsal."""
    found = []
    for arm in arms:
        beside: list[float] = []
        leads: list[float] = []
        for sample in samples:
            if sample["k"] != arm.configuration.k or "error" in sample:
                continue
            trace, lead_ms = applied[sample["policy"]], lead_of(sample)
            first = Cost(arm, lead_ms, 0.0).e2e_ms(trace, sample["start_s"])
            beside.append(max(sample["e2e_ms"] - first, 0.0))
            leads.append(lead_ms)
        if beside:
            found.append(Cost(arm, statistics.median(leads), statistics.median(beside)))
    return found


def lead_of(sample: Record) -> float:
    """Milliseconds from the frame's begin until its bytes were sent; of none, until its end."""
    stages = sample["stages"]
    ends = [start_ns for name, start_ns, _ in stages if name == "uplink"] or [stages[-1][2]]
    return float(ends[0] - stages[0][1]) / 1e6


def policy_row(
    policy: str, samples: Sequence[Record], applied: BandwidthTrace, known: Sequence[Cost]
) -> dict[str, object]:
    """A row with :data:`COLUMNS` of the frames of one policy; what cannot be told is None."""
    good = [sample for sample in samples if "error" not in sample]
    row: dict[str, object] = {"policy": policy, "frames": len(good)}
    row |= {"lost": len(samples) - len(good)}
    if not good:
        return row
    taken_ms = [sample["e2e_ms"] for sample in good]
    best_ms = [_best_ms(known, applied, sample["start_s"]) for sample in good]
    mean_ms, oracle_ms = statistics.fmean(taken_ms), statistics.fmean(best_ms)
    diffs = [s["max_abs_diff"] for s in good if s["max_abs_diff"] is not None]
    times_s, steps = readapt_times_s(good, applied, known)
    return row | {
        "seconds": good[-1]["start_s"] + good[-1]["e2e_ms"] / 1e3,
        "mean_ms": mean_ms,
        "p95_ms": float(np.percentile(taken_ms, 95)),
        "oracle_mean_ms": oracle_ms,
        "regret_pct": (mean_ms / oracle_ms - 1) * 100 if oracle_ms else None,
        "switches": sum(a["k"] != b["k"] for a, b in pairwise(good)),
        "steps": steps,
        "readapted": len(times_s),
        "readapt_s": statistics.median(times_s) if times_s else None,
        "readapt_worst_s": max(times_s, default=None),
        "max_abs_diff": max(diffs, default=None),
    }


def _best_ms(known: Sequence[Cost], applied: BandwidthTrace, start_s: float) -> float:
    return min(cost.e2e_ms(applied, start_s) for cost in known)


def readapt_times_s(
    samples: Sequence[Record], applied: BandwidthTrace, known: Sequence[Cost]
) -> tuple[list[float], int]:
    """Seconds from each step of the rate to the first of some frames that agree with the oracle.

    A step is a change of :data:`STEP_RATIO` or more; there have to be :data:`IN_A_ROW` frames
    before the next, and so many have to agree one after another. The times of the steps where they
    did, and how many steps there were.
    """
    by_k = {cost.arm.configuration.k: cost for cost in known}
    steps = steps_s(applied)
    times_s, counted = [], 0
    for begin_s, end_s in pairwise([*steps, float("inf")]):
        within = [s for s in samples if begin_s <= s["start_s"] < end_s]
        if len(within) < IN_A_ROW:
            continue
        counted += 1
        agree = [
            by_k[s["k"]].e2e_ms(applied, s["start_s"])
            <= AGREES * _best_ms(known, applied, s["start_s"])
            for s in within
        ]
        for place in range(len(agree) - IN_A_ROW + 1):
            if all(agree[place : place + IN_A_ROW]):
                times_s.append(within[place]["start_s"] - begin_s)
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
