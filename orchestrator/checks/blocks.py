"""What the blocks of two runs say of how far a row's times lie apart.

A median is of one run, and runs differ by more than their frames do. Where both have 5 blocks or
more of a row, two times lie further apart than a tolerance only if the interval over the blocks
says so, as `compare` has it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from orchestrator.checks.tolerances import Tolerance
from orchestrator.results.statistics.blocks import BLOCKS_FOR_RUNS
from orchestrator.results.statistics.comparison import Difference, difference
from orchestrator.results.statistics.times import CellTimes
from splitbed.timeline import is_hop


@dataclass(frozen=True)
class CommonBlocks:
    """A row in two runs, by its blocks."""

    a: Mapping[int, CellTimes] = field(default_factory=dict)
    b: Mapping[int, CellTimes] = field(default_factory=dict)

    def apart(self, column: str) -> Difference | None:
        """How many times as long the column takes in B; None where blocks do not tell."""
        common = [block for block in self.a if block in self.b]
        blocks = [run[one] for run in (self.a, self.b) for one in common]
        if len(common) < BLOCKS_FOR_RUNS or not all(_has(times, column) for times in blocks):
            return None
        mine, theirs = (
            [_median_ms(run[one], column) for one in common] for run in (self.a, self.b)
        )
        return difference(mine, theirs, "block") if min(*mine, *theirs) > 0 else None


def _has(times: CellTimes, column: str) -> bool:
    """Whether the column is of times: end to end, the network's, or a stage's."""
    return column in ("e2e_ms", "network_ms") or column.removesuffix("_ms") in times.stages


def _median_ms(times: CellTimes, column: str) -> float:
    if column == "e2e_ms":
        return float(np.median(times.e2e_ms))
    hops = tuple(filter(is_hop, times.stages))
    return float(np.median(times.ms(*(hops if column == "network_ms" else [column[:-3]]))))


def may_agree(apart: Difference, limit: Tolerance, a: float) -> bool:
    """Whether the interval holds a ratio with which B is within the limit of A's value `a`."""
    return limit.agrees(a, a * min(max(1.0, apart.low), apart.high))
