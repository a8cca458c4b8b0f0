"""How wrong predictions are: intervals for new ones, from the errors of earlier ones.

What is next is as likely in any place among n earlier errors as in any other, so that it lies from
the i-th smallest to the i-th largest with probability 1 - 2i/(n + 1): order statistics, as in
split conformal prediction (Papadopoulos et al., ECML 2002). Short parts have errors of their own.

Cells of one run share the errors of its profile: of few runs, the intervals cover less than said.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from orchestrator.plan.grid import Floats

COVERAGE = 0.9
LEAST = 19
"""Fewer errors have no such interval."""
LONG_MS = 5.0
"""Parts that take less are lost among what threads and caches do."""


@dataclass(frozen=True)
class Lesson:
    """An earlier prediction: measured over predicted, without what the link takes at its bound.

    `long` if every part was a long one.
    """

    ratio: float
    long: bool


@dataclass(frozen=True)
class Errors:
    """Such ratios, from and to, of `cells` cells; `here` if learned on this machine."""

    low: float
    high: float
    cells: int
    here: bool = False

    @property
    def words(self) -> str:
        """As a user is told it."""
        where = "cells of --learn" if self.here else "cells of five models, not on this machine"
        return (
            f"{100 * (self.low - 1):+.0f} to {100 * (self.high - 1):+.0f} % ({self.cells} {where})"
        )


@dataclass(frozen=True)
class Doubt:
    """Of predictions whose parts all take :data:`LONG_MS` or more, and of the others."""

    long: Errors
    short: Errors

    def ends_ms(
        self, e2e_ms: Floats, wire_ms: Floats, long: npt.NDArray[np.bool_]
    ) -> tuple[Floats, Floats]:
        """Lower and upper ends of what will be measured, of which the link takes `wire_ms`."""
        nodes_ms = e2e_ms - wire_ms
        low = np.where(long, self.long.low, self.short.low)
        high = np.where(long, self.long.high, self.short.high)
        return wire_ms + nodes_ms * low, wire_ms + nodes_ms * high

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
        return (
            f"Intervals of {COVERAGE:.0%}, measured against predicted, the wire aside: "
            f"{self.long.words} where every part takes {LONG_MS:g} ms, else {self.short.words}."
        )


def doubt_of(lessons: Iterable[Lesson]) -> Doubt:
    """What lessons tell; of a kind with fewer than :data:`LEAST`, what is known from elsewhere."""
    told = [*lessons]
    return Doubt(
        long=errors_of([one.ratio for one in told if one.long]) or ELSEWHERE.long,
        short=errors_of([one.ratio for one in told if not one.long]) or ELSEWHERE.short,
    )


def errors_of(ratios: Iterable[float]) -> Errors | None:
    """The interval of these, equally much outside on either side; None of too few."""
    ordered = sorted(ratios)
    # a hair more, so that 0.05 * 20 counts as 1
    outside = int((1 - COVERAGE) / 2 * (len(ordered) + 1) + 1e-9)
    if outside < 1:
        return None
    return Errors(ordered[outside - 1], ordered[-outside], len(ordered), here=True)


ELSEWHERE = Doubt(Errors(0.75, 1.64, 34), Errors(0.92, 1.87, 34))
"""Of SSD300, PoseNet, shapesnet, ESPCN and a quantised SSD at 5 to 100 Mbit/s, on two processors
that others used too, 2026-11-29. The wire was in these times, so both ends are half as far again
from 1 as they were; a machine that is quiet does better."""
