"""Limits of what frames take, as words of a command line: `--slo`, several with commas between.

    e2e_p99<100ms    response_p95<=0.2s    e2e_mean<50ms    e2e_median<50ms

Response runs from when a frame was due until it is done, e2e from the start of its first counted
stage, as in every row. Of response, a frame that was lost took longer than any other, but for the
mean; e2e is of the frames that came through.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, overload

import numpy as np
import numpy.typing as npt

from orchestrator.results.statistics.intervals import frames_for
from splitbed.errors import UsageError, did_you_mean

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Time = Literal["response", "e2e"]

MEDIAN = 0.5
NUMBER = r"(?P<number>\d+\.?\d*|\.\d+)"
_TIMES: tuple[Time, ...] = ("response", "e2e")
_STATISTICS = ("mean", "median", "p90", "p95", "p99")
_UNITS_MS = {"ms": 1.0, "s": 1e3, "us": 1e-3, "µs": 1e-3}
_LIMIT = re.compile(rf"\s*(?P<name>\w+(\.\d+)?)\s*(?P<sign><=|<)\s*{NUMBER}\s*(?P<unit>[a-zµ]*)\s*")
_PERCENTILE = re.compile(r"p(\d{1,2}(\.\d+)?)")


@dataclass(frozen=True)
class Limit:
    """Of a time of all frames, its mean (`quantile` None) or a quantile: it is to stay below."""

    text: str
    time: Time
    quantile: float | None
    most_ms: float
    most_itself: bool
    """Whether the limit may be reached."""

    @property
    def name(self) -> str:
        """What it limits, as e2e_p99."""
        return re.split("<", self.text, maxsplit=1)[0]

    @property
    def frames(self) -> int:
        """How many frames it takes to tell."""
        return 1 if self.quantile is None else frames_for(self.quantile)

    def of(self, times_ms: Floats) -> float | None:
        """What these frames have; None where they are too few to tell."""
        if len(times_ms) < self.frames:
            return None
        if self.quantile is not None:
            return float(np.quantile(times_ms, self.quantile, method="higher"))
        came = times_ms[np.isfinite(times_ms)]
        return float(came.mean()) if len(came) else None

    @overload
    def holds(self, ms: float) -> bool: ...
    @overload
    def holds(self, ms: Floats) -> Bools: ...
    def holds(self, ms: float | Floats) -> bool | Bools:
        """Whether so much is within it; of an array, each."""
        return ms <= self.most_ms if self.most_itself else ms < self.most_ms


def limits(slo: str | Sequence[str]) -> tuple[Limit, ...]:
    """Those that these words give; UsageError, by name, for what means nothing."""
    asked = [slo] if isinstance(slo, str) else slo
    terms = [term.strip() for words in asked for term in words.split(",")]
    found = tuple(_limit(term) for term in terms)
    names = [limit.name for limit in found]
    if twice := [name for name in dict.fromkeys(names) if names.count(name) > 1]:
        raise UsageError(f"--slo {', '.join(terms)}: {twice[0]} is limited twice: give one limit")
    return found


def _limit(term: str) -> Limit:
    such = "such as e2e_p99<100ms, response_p95<=0.2s or e2e_mean<50ms"
    if not (read := _LIMIT.fullmatch(term)):
        raise UsageError(f"--slo {term!r} is no limit: give a time, < or <=, and a number, {such}")
    time, _, statistic = read["name"].partition("_")
    if time not in _TIMES:
        meant = did_you_mean(time, _TIMES)
        raise UsageError(
            f"--slo {term!r}: no time is called {time!r}{meant} choose response or e2e"
        )
    if (unit := read["unit"] or "ms") not in _UNITS_MS:
        raise UsageError(f"--slo {term!r}: {unit!r} is no unit of time: give ms, s or us")
    most_ms = float(read["number"]) * _UNITS_MS[unit]
    if not 0 < most_ms < math.inf:
        raise UsageError(f"--slo {term!r}: no frame takes so little: give more than 0")
    found = next(one for one in _TIMES if one == time)
    shown = f"{read['name']}{read['sign']}{read['number']}{unit}"
    return Limit(shown, found, _quantile(term, statistic), most_ms, read["sign"] == "<=")


def _quantile(term: str, statistic: str) -> float | None:
    if statistic == "mean":
        return None
    if statistic == "median":
        return MEDIAN
    read = _PERCENTILE.fullmatch(statistic)
    if read is None or not 0 < float(read[1]) < 100:
        meant = did_you_mean(statistic, _STATISTICS)
        raise UsageError(
            f"--slo {term!r}: {statistic!r} is neither the mean nor a percentile{meant} give "
            "mean, median, or one as p99 or p99.9"
        )
    return float(read[1]) / 100
