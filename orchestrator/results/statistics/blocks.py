"""What several blocks of a run tell that its frames do not: how much runs differ.

Frames of a block share what the machine was like in it. Their interval covers the frames of this
run, and nothing that changes from run to run. A block measures the whole grid once more, later and
in another order: from 5 on, the interval is that of the blocks' medians (Student's t of their logs,
which takes these for normal), and covers runs. Of 2 to 4 it would be too wide to be of use: what is
told is the range of their medians.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise
from statistics import median

import numpy as np

from orchestrator.results.rows import Covers, Row
from orchestrator.results.statistics.comparison import Counted, student
from orchestrator.results.statistics.intervals import COVERAGE, Interval, median_interval

BLOCKS_FOR_RUNS = 5
Pairs = tuple[Sequence[float], Sequence[float]] | tuple[Sequence[float], Sequence[float], Counted]
"""Two samples of times; what they are of is frames where it is not said."""


def interval_of(blocks: Sequence[Sequence[float]], middle: float) -> tuple[Interval, Covers]:
    """The interval around the median of what was measured in each block, and what it covers.

    Raises ValueError for no values.
    """
    if len(blocks) == 1:
        return median_interval(blocks[0]), "frames of this run"
    medians = [median(values) for values in blocks]
    if len(medians) < BLOCKS_FOR_RUNS or min(medians) <= 0:
        low, high = min(medians), max(medians)
        return Interval(min(low, middle), max(high, middle), None), "blocks of this run"
    _, low, high = student(np.log(medians))
    low, high = math.exp(low), math.exp(high)
    return Interval(min(low, middle), max(high, middle), COVERAGE), "runs"


def beside(a: Row, b: Row) -> tuple[list[float], list[float], Counted]:
    """What a comparison of two rows takes, in pairs, and what is paired.

    Of 5 common blocks or more their medians, so that what runs differ by is in it; else frames,
    each with one of the same block.
    """
    mine, theirs = _by_block(a), _by_block(b)
    common = [block for block in mine if block in theirs]
    if len(common) >= BLOCKS_FOR_RUNS:
        return [median(mine[k]) for k in common], [median(theirs[k]) for k in common], "block"
    pairs = [pair for block in common for pair in zip(mine[block], theirs[block], strict=False)]
    return [one for one, _ in pairs], [other for _, other in pairs], "frame"


def _by_block(row: Row) -> Mapping[int, Sequence[float]]:
    """Its end-to-end times; of a row that names no blocks, in one."""
    if not row.block_frames:
        return {0: row.samples_ms}
    ends = accumulate((count for _, count in row.block_frames), initial=0)
    spans = zip(row.block_frames, pairwise(ends), strict=True)
    return {block: row.samples_ms[first:last] for (block, _), (first, last) in spans}
