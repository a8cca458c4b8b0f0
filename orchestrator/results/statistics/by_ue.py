"""What each of several UEs had of a cell, and how evenly they shared the link."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from orchestrator.results.records import CellRecord, FrameRecord, UeRecord
from orchestrator.results.statistics import offered
from orchestrator.results.statistics.intervals import frames_for
from orchestrator.results.statistics.offered import Fate, Offered
from orchestrator.results.statistics.times import Array, CellTimes


@dataclass(frozen=True)
class UeShare:
    """One UE's: the times of its frames, end to end, and what they sent in a second, both ways.

    That is over the time of all UEs' frames, from the first begun to the last ended, in Mbit/s.
    """

    ue: UeRecord
    e2e_ms: Array
    goodput_mbit: float

    @property
    def median_ms(self) -> float | None:
        """Of its frames; None without any."""
        return float(np.median(self.e2e_ms)) if len(self.e2e_ms) else None

    def percentile_ms(self, quantile: float) -> float | None:
        """None where its frames are too few for that."""
        if len(self.e2e_ms) < frames_for(quantile):
            return None
        return float(np.quantile(self.e2e_ms, quantile))


def shares(
    cell: CellRecord, frames: Sequence[FrameRecord], times: CellTimes
) -> tuple[UeShare, ...]:
    """Of each UE of a cell that several have; `times` are those of the `frames`."""
    if not cell.ues:
        return ()
    ends_ns = [(one.stages[0].start_ns, one.stages[-1].end_ns) for one in frames]
    span_ns = max(end for _, end in ends_ns) - min(start for start, _ in ends_ns)
    whose = np.array([one.ue for one in frames])
    sent_bits = np.array([8 * sum(hop.bytes for hop in one.sent) for one in frames])
    return tuple(
        UeShare(
            ue,
            times.e2e_ms[own := whose == ue.name],
            float(sent_bits[own].sum()) * 1e3 / max(span_ns, 1),
        )
        for ue in cell.ues
    )


def together(visits: Sequence[Sequence[UeShare]]) -> tuple[UeShare, ...]:
    """Of several visits of a cell: all frames, and the mean of what was sent in a second."""
    return tuple(
        UeShare(
            same[0].ue,
            np.concatenate([one.e2e_ms for one in same]),
            float(np.mean([one.goodput_mbit for one in same])),
        )
        for same in zip(*visits, strict=True)
    )


def offered_to(ue: str, visits: Sequence[Sequence[Fate]]) -> Offered | None:
    """What became of the frames that a load offered one UE; None where none did."""
    runs = [[one for one in fates if one.ue == ue] for fates in visits]
    return offered.together([fates for fates in runs if fates]) if any(runs) else None


def fairness(values: Sequence[float]) -> float | None:
    """Jain's index: 1 where all have as much, 1/n where one has all; None where nobody has any.

    R. Jain, D. Chiu, W. Hawe, DEC-TR-301, 1984.
    """
    squares = sum(value**2 for value in values)
    return sum(values) ** 2 / (len(values) * squares) if squares else None
