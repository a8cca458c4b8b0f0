"""What must hold while frames are offered, as words of a command line.

    e2e_p99<100ms    response_p95<=0.2s    e2e_mean<50ms      --slo, several with commas between
    <1%              <=0.5%                                   --drop-rate, of the frames offered

Response runs from when a frame was due until it is done, e2e from the start of its first counted
stage, as in every row. Of response, a frame that was lost took longer than any other, but for the
mean; e2e is of the frames that came through.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from orchestrator.results.statistics.intervals import frames_for
from splitbed.errors import UsageError, did_you_mean

Floats = npt.NDArray[np.float64]
Time = Literal["response", "e2e"]

USUAL_DROPS, MOST_DROPS = "<1%", 0.99
_TIMES: tuple[Time, ...] = ("response", "e2e")
_STATISTICS = ("mean", "median", "p90", "p95", "p99")
_UNITS_MS = {"ms": 1.0, "s": 1e3, "us": 1e-3, "µs": 1e-3}
_NUMBER = r"(?P<number>\d+\.?\d*|\.\d+)"
_LIMIT = re.compile(
    rf"\s*(?P<name>\w+(\.\d+)?)\s*(?P<sign><=|<)\s*{_NUMBER}\s*(?P<unit>[a-zµ]*)\s*"
)
_SHARE = re.compile(rf"\s*(?P<sign><=|<)\s*{_NUMBER}\s*%\s*")
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

    def holds(self, ms: float) -> bool:
        """Whether so much is within it."""
        return ms < self.most_ms or (self.most_itself and ms == self.most_ms)


@dataclass(frozen=True)
class DropLimit:
    """Of all frames offered, the share that may be lost: dropped, or failed."""

    text: str
    most: float
    most_itself: bool

    @property
    def frames(self) -> int:
        """How many frames it takes for one that is lost not to decide it, where any may be."""
        return math.ceil(2 / self.most) if self.most else 1

    def holds(self, share: float) -> bool:
        """Whether so many may be lost."""
        return share < self.most or (self.most_itself and share == self.most)


@dataclass(frozen=True)
class Objective:
    """All that must hold at once."""

    limits: tuple[Limit, ...]
    drops: DropLimit

    @property
    def frames(self) -> int:
        """How many frames a run offers to tell, though some of them are lost."""
        return max(self.drops.frames, *map(self.frames_of, self.limits))

    def frames_of(self, limit: Limit) -> int:
        """How many for this limit: as many as it takes come through where all are lost that may."""
        return math.ceil(limit.frames / (1 - self.drops.most))

    def broken_alone(self, e2e_ms: float, before_ms: float) -> tuple[str, str] | None:
        """The limit that frames one at a time break, and how; None where they may keep all.

        The fastest of them took `e2e_ms`, its preprocessing `before_ms`.
        """
        for limit in self.limits:
            least_ms = e2e_ms + (before_ms if limit.time == "response" else 0.0)
            if not limit.holds(least_ms):
                return limit.name, f"a frame alone takes {least_ms:.4g} ms at least"
        return None

    @property
    def words(self) -> str:
        """As it was asked."""
        return f"{', '.join(limit.text for limit in self.limits)}, lost {self.drops.text}"


def objective(slo: str | Sequence[str], drop_rate: str = USUAL_DROPS) -> Objective:
    """What these words mean; UsageError, by name, for what means nothing."""
    asked = [slo] if isinstance(slo, str) else slo
    terms = [term.strip() for words in asked for term in words.split(",")]
    limits = tuple(_limit(term) for term in terms)
    names = [limit.name for limit in limits]
    if twice := [name for name in dict.fromkeys(names) if names.count(name) > 1]:
        raise UsageError(f"--slo {', '.join(terms)}: {twice[0]} is limited twice: give one limit")
    return Objective(limits, _drops(drop_rate))


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
        return 0.5
    read = _PERCENTILE.fullmatch(statistic)
    if read is None or not 0 < float(read[1]) < 100:
        meant = did_you_mean(statistic, _STATISTICS)
        raise UsageError(
            f"--slo {term!r}: {statistic!r} is neither the mean nor a percentile{meant} give "
            "mean, median, or one as p99 or p99.9"
        )
    return float(read[1]) / 100


def _drops(words: str) -> DropLimit:
    read = _SHARE.fullmatch(words)
    if read is None or float(read["number"]) > 100:
        raise UsageError(
            f"--drop-rate {words!r} is no share: give < or <= and per cent of the frames offered, "
            f"as {USUAL_DROPS}"
        )
    most, itself = float(read["number"]) / 100, read["sign"] == "<="
    if most > MOST_DROPS:
        raise UsageError(
            f"--drop-rate {words!r}: of so few that come through no limit is told: give "
            f"{MOST_DROPS:.0%} at most"
        )
    if most == 0 and not itself:
        raise UsageError(f"--drop-rate {words!r}: nothing is below 0: give <=0% for none at all")
    return DropLimit(f"{read['sign']}{read['number']}%", most, itself)
