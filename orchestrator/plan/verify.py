"""Measures a plan where its decision is closest, and holds predictions and policies against that.

At each chosen point: the best and the second option, and what each policy would have chosen.
"""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from orchestrator.ask.configuration import Configuration
from orchestrator.ask.grid import cell_of
from orchestrator.ask.links import link_at
from orchestrator.ask.sweep_config import SweepConfig
from orchestrator.measure.sweep import measure_cells
from orchestrator.measure.watcher import Watcher
from orchestrator.plan.facts import Option
from orchestrator.plan.grid import PlanGrid, PlanPoint
from orchestrator.plan.policies import Decisions
from orchestrator.plan.prediction import Plan
from orchestrator.results.columns import csv_text
from orchestrator.results.rows import Row
from orchestrator.results.run_folder import RunFolder, create
from orchestrator.testbed.model import SweptModel
from orchestrator.testbed.site import Site
from orchestrator.testbed.testbed import testbed
from splitbed.errors import LinkError, UsageError

VERIFY_FILE, VERIFY_FOLDER = "verify.csv", "verify"
PLANNER = "plan"


@dataclass(frozen=True)
class Probe:
    """A configuration to measure at a point of the grid; `roles` are who would choose it there."""

    configuration: Configuration
    point: PlanPoint
    predicted_ms: float
    roles: tuple[str, ...]


@dataclass(frozen=True)
class Measured:
    """What was measured of a probe; `measured_ms` is None where the row is not valid."""

    probe: Probe
    measured_ms: float | None
    reason: str

    @property
    def error_pct(self) -> float | None:
        """How far the prediction is off, of the measured time."""
        if self.measured_ms is None:
            return None
        return 100 * (self.probe.predicted_ms / self.measured_ms - 1)

    def row(self) -> dict[str, object]:
        """For verify.csv and the terminal."""
        probe = self.probe
        return {
            **asdict(probe.point),
            "split": probe.configuration.split_name,
            "codec": probe.configuration.codec,
            "chosen by": ", ".join(probe.roles),
            "predicted_ms": probe.predicted_ms,
            "measured_ms": self.measured_ms if self.measured_ms is not None else self.reason,
            "error_pct": self.error_pct if self.error_pct is not None else "",
        }


def probed(plan: Plan, decided: Mapping[str, Decisions], count: int, site: Site) -> list[Probe]:
    """What is to be measured at the `count` closest points; UsageError where none can be."""
    points = closest(plan, count, lambda rate_mbit: site.can_shape(link_at(rate_mbit, 0)))
    if not points:
        raise UsageError("--verify: no rate of this plan is one that a link here can have")
    return probes(plan, decided, points)


def closest(plan: Plan, count: int, possible: Callable[[float], bool]) -> list[int]:
    """Up to `count` points of the grid, those first where the second is nearest to the best.

    Each pair of options is taken once at each pace of the UE, where it is closest, before any is
    taken again; `possible` says which rates a link can have.
    """
    slowdown, _, bw_mbit = plan.grid.points()
    able = {rate: possible(rate) for rate in plan.grid.bw_mbit.tolist()}
    first: list[int] = []
    again: list[int] = []
    seen: set[tuple[float, frozenset[int]]] = set()
    for point in np.argsort(plan.margin, kind="stable").tolist():
        if not able[bw_mbit[point]]:
            continue
        pair = (slowdown[point], frozenset(plan.ranks[:, point].tolist()))
        (again if pair in seen else first).append(point)
        seen.add(pair)
    return [*first, *again][:count]


def probes(plan: Plan, decided: Mapping[str, Decisions], points: Sequence[int]) -> list[Probe]:
    """What is to be measured at these points."""
    found = []
    for point in points:
        at = plan.grid.at(point)
        best, second = (plan.options[rank] for rank in plan.ranks[:, point])
        roles: dict[Option, list[str]] = {best: [PLANNER]}
        roles.setdefault(second, []).append("second")
        for name, decisions in decided.items():
            option = decisions.options[decisions.chosen[point]]
            if option is not None:
                same = [o for o in plan.options if o.configuration == option.configuration]
                roles.setdefault(same[0] if same else option, []).append(name)
        told = plan.predictor.e2e_ms(plan.predictor.work([*roles]), PlanGrid.of(at))[:, 0]
        found += [
            Probe(option.configuration.over(at.link, at.pace), at, float(ms), tuple(names))
            for (option, names), ms in zip(roles.items(), told, strict=True)
        ]
    return found


def verify(
    config: SweepConfig,
    asked: Sequence[Probe],
    site: Site,
    model: SweptModel,
    folder: RunFolder,
    watcher: Watcher,
) -> list[Measured]:
    """Measure each, in a run folder of its own. Raises SplitbedError for what stops it."""
    points = [probe.point for probe in asked]
    links = list(dict.fromkeys(point.link for point in points))
    config = config.replaced(
        bw=tuple(dict.fromkeys(point.bw_mbit for point in points)),
        delay_ms=tuple(dict.fromkeys(point.delay_ms for point in points)),
        queue_packets=max(link.uplink.queue_packets for link in links),
        ue_slowdown=tuple(dict.fromkeys(point.ue_slowdown for point in points)),
        profile=False,
        delivery=False,
        out=folder.path / VERIFY_FOLDER,
    )
    cells = [cell_of(probe.configuration, model, delivery=False) for probe in asked]
    with testbed(site, model, links) as bed:
        outcome = measure_cells(config, cells, bed, create(config.out, model.name), watcher)
    if outcome.stopped:
        raise outcome.stopped
    found = [_measured(probe, outcome.rows) for probe in asked]
    lines = [one.row() for one in found]
    folder.replace(VERIFY_FILE, csv_text(tuple(lines[0]), lines))
    return found


def _measured(probe: Probe, table: Sequence[Row]) -> Measured:
    asked = probe.configuration
    wanted = (asked.split, asked.codec, probe.point.link.words, asked.pace.words)
    for row in table:
        if (row.split, row.codec, *row.conditions) == wanted:
            return Measured(probe, row.e2e_ms if row.valid else None, row.reason)
    raise LinkError(f"{asked.key} was not measured")


def regrets(found: Sequence[Measured]) -> dict[str, list[float]]:
    """Of the plan and each policy: by what share each choice was slower than the measured best."""
    told: dict[str, list[float]] = {}
    for point in dict.fromkeys(one.probe.point for one in found):
        here = [one for one in found if one.probe.point == point and one.measured_ms is not None]
        least = min((one.measured_ms or 0.0 for one in here), default=0.0)
        for one in here:
            for role in one.probe.roles:
                told.setdefault(role, []).append((one.measured_ms or 0.0) / least - 1)
    return told


def summary(found: Sequence[Measured]) -> str:
    """The prediction's error and the regrets in words."""
    errors = [abs(one.error_pct) for one in found if one.error_pct is not None]
    if not errors:
        return "Nothing could be measured: see the reasons."
    words = (
        f"Prediction error over {len(errors)} measured cells: median "
        f"{statistics.median(errors):.1f} %, worst {max(errors):.1f} %. Regret against the "
        "measured best, median and worst: "
    )
    told = [
        f"{name} {100 * statistics.median(shares):.1f} and {100 * max(shares):.1f} %"
        for name, shares in regrets(found).items()
        if name != "second"
    ]
    return words + "; ".join(told) + "."
