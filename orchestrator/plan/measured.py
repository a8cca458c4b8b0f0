"""What was measured of a plan, and whether its choices held.

A choice is held against every other configuration that the plan could have chosen at that point.
"""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum

import numpy as np

from orchestrator.ask.configuration import Configuration
from orchestrator.plan.grid import PlanPoint
from orchestrator.results.judgement.choice import MAX_P
from orchestrator.results.rows import Row
from orchestrator.results.statistics.blocks import beside
from orchestrator.results.statistics.comparison import Difference, difference, holm
from orchestrator.results.statistics.limits import Limit

PLANNER, SECOND, THRIFTY = "plan", "second", "least energy"


class Held(StrEnum):
    """What measuring says of the plan's choice at a point."""

    BEST = "the best"
    OPEN = "open: frames do not tell"
    WRONG = "not the best"
    UNKNOWN = "not measured"


@dataclass(frozen=True)
class Probe:
    """A configuration to measure at a point of the grid; `roles` are who would choose it there.

    `low_ms` and `high_ms` are the ends of what is expected. The plan could choose it where it is
    `offered`; policies may choose what it leaves out.
    """

    configuration: Configuration
    point: PlanPoint
    predicted_ms: float
    low_ms: float
    high_ms: float
    roles: tuple[str, ...]
    offered: bool = True
    limited: tuple[tuple[Limit, float], ...] = ()
    """What it is to keep, and the upper end of what is expected of that."""
    place: tuple[int, int] | None = None
    """Which option of the plan it is, and at which point; None of one that it leaves out."""


@dataclass(frozen=True)
class Measured:
    """What was measured of a probe: its row; one that is not valid is no measurement."""

    probe: Probe
    table_row: Row

    @property
    def measured_ms(self) -> float | None:
        """The median; None where the row is not valid."""
        return self.table_row.e2e_ms if self.table_row.valid else None

    @property
    def samples_ms(self) -> tuple[float, ...]:
        """Of each frame; none where the row is not valid."""
        return self.table_row.samples_ms if self.table_row.valid else ()

    @property
    def ends_ms(self) -> tuple[float, float] | None:
        """The ends of the median's interval; None likewise."""
        row = self.table_row
        if not row.valid or row.e2e_low_ms is None or row.e2e_high_ms is None:
            return None
        return row.e2e_low_ms, row.e2e_high_ms

    @property
    def expected(self) -> bool:
        """Whether the median lies in the interval that was predicted."""
        ms = self.measured_ms
        return ms is not None and self.probe.low_ms <= ms <= self.probe.high_ms

    @property
    def error_pct(self) -> float | None:
        """How far the prediction is off, of the measured time."""
        if self.measured_ms is None:
            return None
        return 100 * (self.probe.predicted_ms / self.measured_ms - 1)

    def limited_ms(self, limit: Limit) -> float | None:
        """What its frames had of what is limited; None where they are too few to tell."""
        return limit.of(np.array(self.samples_ms))

    @property
    def kept(self) -> bool | None:
        """Whether all limits were kept; None where frames do not tell."""
        told = [(one, self.limited_ms(one)) for one, _ in self.probe.limited]
        if any(ms is None for _, ms in told):
            return None
        return all(one.holds(ms) for one, ms in told if ms is not None)

    def row(self) -> dict[str, object]:
        """For verify.csv and the terminal; None for what was not measured."""
        probe = self.probe
        low_ms, high_ms = self.ends_ms or (None, None)
        return {
            **asdict(probe.point),
            "split": probe.configuration.split_name,
            "codec": probe.configuration.codecs,
            "chosen by": ", ".join(probe.roles),
            "predicted_ms": probe.predicted_ms,
            "predicted_low_ms": probe.low_ms,
            "predicted_high_ms": probe.high_ms,
            "measured_ms": self.measured_ms,
            "measured_low_ms": low_ms,
            "measured_high_ms": high_ms,
            "error_pct": self.error_pct,
            **self._limits(),
            "reason": self.table_row.reason,
        }

    def _limits(self) -> dict[str, object]:
        told: dict[str, object] = {}
        for limit, high_ms in self.probe.limited:
            told[f"predicted_{limit.name}_high_ms"] = high_ms
            told[f"measured_{limit.name}_ms"] = self.limited_ms(limit)
        return told | ({"kept": self.kept} if told else {})


def verdicts(found: Sequence[Measured]) -> dict[PlanPoint, Held]:
    """Of each point that was measured, whether the plan's choice is the best of it.

    Others are told from it by pairs of frames; all comparisons are corrected for their number.
    """
    points = _by_point(found)
    rivals = {point: _over_choice(here) for point, here in points.items()}
    compared = [one for over in rivals.values() for one in over if one]
    corrected = iter(holm([one.p for one in compared]))
    return {
        point: _held(points[point], [one and replace(one, p=next(corrected)) for one in over])
        for point, over in rivals.items()
    }


def _over_choice(here: Sequence[Measured]) -> list[Difference | None]:
    """What every other that the plan could choose takes over its choice; None if not measured."""
    offered = [one for one in here if one.probe.offered]
    choice = _choice(offered)
    return [_over(choice, one) for one in offered if one is not choice]


def _over(choice: Measured, one: Measured) -> Difference | None:
    if not (choice.samples_ms and one.samples_ms):
        return None
    return difference(*beside(choice.table_row, one.table_row))


def _choice(here: Iterable[Measured]) -> Measured:
    return next(one for one in here if PLANNER in one.probe.roles)


def _held(here: Sequence[Measured], over: Sequence[Difference | None]) -> Held:
    """What has no measurement may be the best."""
    sure = [one if one and one.p <= MAX_P and one.tells else None for one in over]
    if any(one.high < 1 for one in sure if one):
        return Held.WRONG
    if not _choice(here).samples_ms or None in over:
        return Held.UNKNOWN
    return Held.OPEN if None in sure else Held.BEST


def regrets(found: Sequence[Measured]) -> dict[str, list[float]]:
    """Of the plan and each policy: by what share each choice was slower than the measured best."""
    told: dict[str, list[float]] = {}
    for here in _by_point(found).values():
        timed = [(one, ms) for one in here if (ms := one.measured_ms) is not None]
        least = min((ms for _, ms in timed), default=0.0)
        for one, ms in timed:
            for role in one.probe.roles:
                told.setdefault(role, []).append(ms / least - 1)
    return told


def _by_point(found: Sequence[Measured]) -> dict[PlanPoint, list[Measured]]:
    points: dict[PlanPoint, list[Measured]] = {}
    for one in found:
        points.setdefault(one.probe.point, []).append(one)
    return points


def summary(found: Sequence[Measured]) -> str:
    """The verdicts, the prediction's error and the regrets in words."""
    said = [*verdicts(found).values()]
    words = "The plan's choice: " + "; ".join(
        f"{one} at {said.count(one)} of {len(said)}" for one in Held if one in said
    )
    errors = [abs(one.error_pct) for one in found if one.error_pct is not None]
    if not errors:
        return f"{words}. Nothing could be measured: see the reasons."
    inside = sum(one.expected for one in found)
    words += (
        f". Prediction error over {len(errors)} measured cell{'' if len(errors) == 1 else 's'}: "
        "median "
        f"{statistics.median(errors):.1f} %, worst {max(errors):.1f} %; {inside} of them in their "
        "intervals. Regret against the measured best, median and worst: "
    )
    told = [
        f"{name} {100 * statistics.median(shares):.1f} and {100 * max(shares):.1f} %"
        for name, shares in regrets(found).items()
        if name not in (SECOND, THRIFTY)
    ]
    return words + "; ".join(told) + f".{_thrift(found)}"


def _thrift(found: Sequence[Measured]) -> str:
    """What became of limits where the choice was by energy; nothing where there were none."""
    told = [one.kept for one in found if one.probe.limited and THRIFTY in one.probe.roles]
    if not told:
        return ""
    counts = f"{told.count(True)} of {len(told)}"
    if unknown := told.count(None):
        counts += f" ({unknown} could not be measured)"
    return f" Of what is chosen by energy, the limits are kept by {counts}."
