"""How wrong predictions are: intervals for new ones, from the errors of earlier ones.

What is next is as likely in any place among n earlier errors as in any other, so that it lies from
the i-th smallest to the i-th largest with probability 1 - 2i/(n + 1): order statistics, as in
split conformal prediction (Papadopoulos et al., ECML 2002). Short parts have errors of their own.

Cells of one run share the errors of its profile: of few runs, the intervals cover less than said.

A percentile is told the same way, from what earlier cells had as theirs, which takes frames enough.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from statistics import median

import numpy as np
import numpy.typing as npt

from orchestrator.plan.grid import Floats
from orchestrator.results.statistics.limits import MEDIAN, Limit
from splitbed.errors import UsageError

COVERAGE = 0.9
LEAST = 19
"""Fewer errors have no such interval."""
LONG_MS = 5.0
"""Parts that take less are lost among what threads and caches do."""


@dataclass(frozen=True)
class Lesson:
    """An earlier prediction: measured over predicted, without what the link takes at its bound.

    `long` if every part was a long one; `frames` has the ratio of each frame, `ratio` that of the
    median.
    """

    ratio: float
    long: bool
    frames: tuple[float, ...] = ()

    def of(self, limit: Limit) -> float | None:
        """The ratio of what is limited; None where the frames are too few to tell."""
        return self.ratio if limit.quantile == MEDIAN else limit.of(np.array(self.frames))


@dataclass(frozen=True)
class Errors:
    """Such ratios, from and to, of `cells` cells; `here` if learned on this machine.

    ``middle`` is what is predicted, 1 of a median.
    """

    low: float
    high: float
    cells: int
    here: bool = False
    middle: float = 1.0

    @property
    def words(self) -> str:
        """As a user is told it."""
        if self == UNKNOWN:
            return "nobody knows"
        where = "cells of --learn" if self.here else "cells that were not of this machine"
        ends = f"{_more(self.low)} to {_more(self.high)} % ({self.cells} {where})"
        return ends if self.middle == 1 else f"{_more(self.middle)} %, from {ends}"


def _more(ratio: float) -> str:
    return f"{100 * (ratio - 1):+.0f}"


@dataclass(frozen=True)
class Doubt:
    """Of predictions whose parts all take :data:`LONG_MS` or more, and of the others."""

    long: Errors
    short: Errors

    def ends_ms(
        self, e2e_ms: Floats, wire_ms: Floats, long: npt.NDArray[np.bool_]
    ) -> tuple[Floats, Floats]:
        """Lower and upper ends of what will be measured, of which the link takes `wire_ms`."""
        low = np.where(long, self.long.low, self.short.low)
        high = np.where(long, self.long.high, self.short.high)
        nodes_ms = e2e_ms - wire_ms
        return wire_ms + nodes_ms * low, wire_ms + nodes_ms * high

    def middle_ms(self, e2e_ms: Floats, wire_ms: Floats, long: npt.NDArray[np.bool_]) -> Floats:
        """What is predicted; of the median `e2e_ms` itself."""
        middle = np.where(long, self.long.middle, self.short.middle)
        return np.asarray(wire_ms + (e2e_ms - wire_ms) * middle)

    def widened(self, share: float) -> "Doubt":
        """Of a profile whose parts waited so much of their time: both ends so much farther out."""
        long, short = (
            replace(one, low=one.low * max(1 - share, 0.0), high=one.high * (1 + share))
            for one in (self.long, self.short)
        )
        return Doubt(long, short)

    @property
    def words(self) -> str:
        """As a user is told it."""
        of = f"Intervals of {COVERAGE:.0%}, measured against predicted, the wire aside"
        return f"{of}: {self.kinds}."

    @property
    def kinds(self) -> str:
        """Its errors of both kinds."""
        return f"{self.long.words} where every part takes {LONG_MS:g} ms, else {self.short.words}"


def doubt_of(lessons: Iterable[Lesson], limit: Limit | None = None) -> Doubt:
    """What lessons tell of the median, or of what is limited.

    Of a kind with fewer than :data:`LEAST` that tell it, what is known from elsewhere. Raises
    UsageError for a limit of which nothing is known at all.
    """
    told = [*lessons]
    middle = limit is None or limit.quantile == MEDIAN
    # how far frames are from their median is a matter of the machine, and of who else is on it
    elsewhere = ELSEWHERE if middle else NOBODY

    def of(*, long: bool) -> list[float]:
        kind = [one for one in told if one.long == long]
        ratios = [one.ratio if limit is None else one.of(limit) for one in kind]
        return [ratio for ratio in ratios if ratio is not None]

    long, short = of(long=True), of(long=False)
    found = Doubt(errors_of(long) or elsewhere.long, errors_of(short) or elsewhere.short)
    if limit and found == NOBODY:
        raise UsageError(_too_few(limit, len(long), len(short)))
    if middle:
        return found
    return Doubt(_around(found.long, long), _around(found.short, short))


def _around(errors: Errors, ratios: Iterable[float]) -> Errors:
    """With what is predicted between them, where they are learned."""
    return replace(errors, middle=median(ratios)) if errors.here else errors


def _too_few(limit: Limit, long: int, short: int) -> str:
    count = f"{limit.frames} frame{'s' if limit.frames > 1 else ''}"
    return (
        f"--slo {limit.text}: nothing tells how far {limit.name} is from what a profile says: "
        f"give --learn FOLDER,… of sweeps with {LEAST} cells of {count} (--runs {limit.frames}), "
        f"all with parts of {LONG_MS:g} ms or more, or all without; it has {long} and {short}"
    )


def errors_of(ratios: Iterable[float]) -> Errors | None:
    """The interval of these, equally much outside on either side; None of too few."""
    ordered = sorted(ratios)
    # a hair more, so that 0.05 * 20 counts as 1
    outside = int((1 - COVERAGE) / 2 * (len(ordered) + 1) + 1e-9)
    if outside < 1:
        return None
    ends = ordered[outside - 1], ordered[-outside]
    return Errors(*ends, len(ordered), here=True)


ELSEWHERE = Doubt(Errors(0.75, 1.64, 34), Errors(0.92, 1.87, 34))
"""Of SSD300, PoseNet, shapesnet, ESPCN and a quantised SSD at 5 to 100 Mbit/s, on two processors
that others used too, 2026-11-29. The wire was in these times, so both ends are half as far again
from 1 as they were; a machine that is quiet does better."""
UNKNOWN = Errors(0.0, math.inf, 0)
NOBODY = Doubt(UNKNOWN, UNKNOWN)
"""Nothing is known of either."""
