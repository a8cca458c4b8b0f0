"""What can be said of rows that two runs share: which changed, beside what all of them share.

Two runs of the same thing differ by more than their frames do: all rows share a shift, and scatter
around it. A row is told when its frames, pair by pair, exclude that it only followed the shift
(Holm over all rows), and its change is none that runs make by themselves.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.results.statistics.blocks import Pairs
from orchestrator.results.statistics.comparison import (
    MIN_SIGN_PAIRS,
    Difference,
    difference,
    holm,
)

MIN_CHANGE = 0.01
"""A smaller change of a row is noise, however sure …"""
SCATTER = 3.0
"""… as is one within so many times what rows scatter by around the shift, MAX_SCATTER at most …"""
MAX_SCATTER = 0.05
"""… and that of fewer frames than 6: older runs ended a cell once three of them agreed so far."""
MAX_SHIFT = 0.03
"""So much of a shift that all rows share is the runs', not the rows'."""
MAX_P = 0.05


@dataclass(frozen=True)
class Told:
    """Two samples of frames' times: `word` is faster, slower or noise, of rows also disturbed.

    `more` says about how many frames more would tell a change that is large enough.
    """

    word: str
    difference: Difference | None
    more: int | None = None


def told_apart(rows: Sequence[Pairs]) -> list[Told]:
    """What can be said of each row, its times in A and in B, among all of them."""
    logs = [math.log(statistics.median(row[1]) / statistics.median(row[0])) for row in rows]
    shift, scatter = shifted(logs)
    shared = min(max(shift, -math.log1p(MAX_SHIFT)), math.log1p(MAX_SHIFT))
    found = [difference(*row, against=math.exp(shared), besides=0.0) for row in rows]
    corrected = holm([one.p if one else 1.0 for one in found])
    told = []
    for own, log, p in zip(found, logs, corrected, strict=True):
        least = min(max(MIN_CHANGE, SCATTER * scatter), MAX_SCATTER)
        if own is None or (own.pairs < MIN_SIGN_PAIRS and own.of == "frame"):
            least = MAX_SCATTER
        # what only follows the shift is no change of the row, nor is what only resists it
        beyond = log - shared
        large = log * beyond > 0 and min(abs(log), abs(beyond)) >= math.log1p(least)
        word, more = "noise", None
        if large and own and p <= MAX_P and _tells(own, slower=beyond > 0):
            word = "slower" if beyond > 0 else "faster"
        elif large and own:
            more = own.more_to_tell(MAX_P / len(rows))
        told.append(Told(word, own, more))
    return told


def _tells(own: Difference, *, slower: bool) -> bool:
    """Whether its interval excludes both that the row is as it was and that it only followed."""
    return own.low > max(own.against, 1) if slower else own.high < min(own.against, 1)


def shifted(logs: Sequence[float]) -> tuple[float, float]:
    """The median of the rows' log ratios, and by what they scatter around it.

    The latter is the median distance, as a standard deviation of normal ones.
    """
    shift = statistics.median(logs) if logs else 0.0
    distances = [abs(log - shift) for log in logs]
    return shift, 1.4826 * (statistics.median(distances) if distances else 0.0)
