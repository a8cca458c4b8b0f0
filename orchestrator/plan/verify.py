"""Measures a plan where its decision is closest, and holds predictions and policies against that.

At each chosen point: the best and the second option, and what each policy would have chosen.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import chain

import numpy as np

from orchestrator.ask.configuration import Configuration
from orchestrator.ask.links import link_at
from orchestrator.ask.sweep.cell import cell_of
from orchestrator.ask.sweep.config import SweepConfig
from orchestrator.measure.sweep import measure_cells
from orchestrator.measure.watcher import Watcher
from orchestrator.plan.energy import LeastEnergy
from orchestrator.plan.facts import Option
from orchestrator.plan.grid import PlanGrid
from orchestrator.plan.load.held import VERIFY_LOAD_FILE, LoadMeasured, LoadProbe
from orchestrator.plan.measured import PLANNER, SECOND, THRIFTY, Measured, Probe
from orchestrator.plan.policies import Decisions
from orchestrator.plan.prediction import Plan, Predictor
from orchestrator.results.columns import csv_text
from orchestrator.results.rows import Row
from orchestrator.results.run_folder import RunFolder, create
from orchestrator.testbed.model import SweptModel
from orchestrator.testbed.site import Site
from orchestrator.testbed.testbed import testbed
from splitbed.codecs import codec_named
from splitbed.errors import LinkError, UsageError

VERIFY_FILE, VERIFY_FOLDER = "verify.csv", "verify"


def probed(
    config: SweepConfig,
    plan: Plan,
    decided: Mapping[str, Decisions],
    energy: LeastEnergy | None,
    count: int,
    site: Site,
) -> list[Probe]:
    """What is to be measured at the `count` closest points; UsageError where none can be."""
    points = closest(plan, count, lambda rate_mbit: site.can_shape(link_at(rate_mbit, 0)))
    if not points:
        raise UsageError("--verify: no rate of this plan is one that a link here can have")
    return probes(config, plan, decided, points, energy)


def closest(plan: Plan, count: int, possible: Callable[[float], bool]) -> list[int]:
    """Up to `count` points of the grid, those first where the second is nearest to the best.

    Where the plan is not sure, each pair of options is taken once at each pace of the UE before any
    is taken again; `possible` says which rates a link can have.
    """
    slowdown, _, bw_mbit = plan.grid.points()
    sure = plan.sure
    able = {rate: possible(rate) for rate in plan.grid.bw_mbit.tolist()}
    first: list[int] = []
    again: list[int] = []
    seen: set[tuple[float, frozenset[int]]] = set()
    for point in np.argsort(plan.margin, kind="stable").tolist():
        if not able[bw_mbit[point]]:
            continue
        pair = (slowdown[point], frozenset(plan.ranks[:, point].tolist()))
        new = pair not in seen and not sure[point]
        (first if new else again).append(point)
        seen.add(pair)
    return [*first, *again][:count]


def probes(
    config: SweepConfig,
    plan: Plan,
    decided: Mapping[str, Decisions],
    points: Sequence[int],
    energy: LeastEnergy | None = None,
) -> list[Probe]:
    """What is to be measured at these points."""
    found = []
    for point in points:
        at = plan.grid.at(point)
        best, second = (plan.options[rank] for rank in plan.ranks[:, point])
        roles: dict[Option, list[str]] = {best: [PLANNER]}
        roles.setdefault(second, []).append(SECOND)
        if energy and (thrifty := int(energy.best[point])) >= 0:
            roles.setdefault(plan.options[thrifty], []).append(THRIFTY)
        for name, decisions in decided.items():
            option = decisions.options[decisions.chosen[point]]
            if option is not None:
                same = [o for o in plan.options if o.configuration == option.configuration]
                roles.setdefault(same[0] if same else option, []).append(name)
        told = _ends(plan.predictor, [*roles], PlanGrid.of(at))
        for (option, names), ends in zip(roles.items(), told, strict=True):
            place = (plan.options.index(option), point) if option in plan.options else None
            limits = energy.limits if energy and place else ()
            found.append(
                Probe(
                    option.configuration.over(config.over(at.link), at.pace),
                    at,
                    *ends,
                    tuple(names),
                    offered=place is not None,
                    limited=tuple((one.limit, float(one.high_ms[place])) for one in limits),
                    place=place,
                )
            )
    return found


def _ends(
    predictor: Predictor, options: Sequence[Option], grid: PlanGrid
) -> list[tuple[float, float, float]]:
    """Of each at the grid's one point: what is predicted, and the ends of its interval."""
    work = predictor.work(options)
    e2e_ms = predictor.e2e_ms(work, grid)
    ends_ms = predictor.ends_ms(work, grid)
    return [*zip(*(column[:, 0].tolist() for column in (e2e_ms, *ends_ms)), strict=True)]


def verify(
    config: SweepConfig,
    asked: Sequence[Probe],
    site: Site,
    model: SweptModel,
    folder: RunFolder,
    watcher: Watcher,
    under_load: Sequence[LoadProbe] = (),
) -> tuple[list[Measured], list[LoadMeasured]]:
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
        target_drop=None,  # each cell has its number
        target_kbit=None,
        out=folder.path / VERIFY_FOLDER,
    )
    codecs = {codec for one in asked for _, codec in one.configuration.coding}
    if any(codec_named(name).sequential for name in codecs):
        config = config.replaced(runs=config.least_runs)  # which takes no input twice
    if limits := [limit for probe in asked for limit, _ in probe.limited]:
        config = config.replaced(runs=max(config.least_runs, *(one.frames for one in limits)))
    every = [probe.configuration for probe in asked]
    every += [probe.configuration for probe in under_load]
    cells = [cell_of(one, model, config) for one in every]
    with testbed(site, model, [config.over(link) for link in links]) as bed:
        outcome = measure_cells(config, cells, bed, create(config.out, model.name), watcher)
    if outcome.stopped:
        raise outcome.stopped
    found = [Measured(probe, _row_of(probe.configuration, outcome.rows)) for probe in asked]
    loaded = [
        LoadMeasured(probe, _row_of(probe.configuration, outcome.rows)) for probe in under_load
    ]
    lines = [one.row() for one in found]
    folder.replace(VERIFY_FILE, csv_text(tuple(dict.fromkeys(chain(*lines))), lines))
    if lines := [one.row() for one in loaded]:
        folder.replace(VERIFY_LOAD_FILE, csv_text(tuple(lines[0]), lines))
    return found, loaded


def _row_of(asked: Configuration, table: Sequence[Row]) -> Row:
    wanted = (asked.split, asked.codecs, asked.link_words, asked.pace.words, asked.load.words)
    for row in table:
        if (row.split, row.codec, row.link, row.ue, row.load) == wanted:
            return row
    raise LinkError(f"{asked.key} was not measured")
