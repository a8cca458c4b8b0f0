"""What a plan says of the cells of a sweep, for a race among them (:mod:`orchestrator.measure`).

As in a plan, with each cell's own link and pace. Where a plan knows too little, as what a link that
loses packets does to TCP, errors may be large, until the first such cell has been measured.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from netem.spec import LinkSpec
from netem.wire import wire_ms
from orchestrator.ask.flow import shape_of
from orchestrator.ask.links import links_words
from orchestrator.ask.pace import Pace
from orchestrator.ask.sweep.cell import Cell
from orchestrator.ask.sweep.config import SweepConfig
from orchestrator.measure.racing.beliefs import Errors, Prediction
from orchestrator.plan.doubt import ELSEWHERE
from orchestrator.plan.facts import Crossing, Option, take_facts
from orchestrator.plan.grid import PlanGrid, PlanPoint
from orchestrator.plan.prediction import Predictor
from orchestrator.results.profile import Profile
from orchestrator.testbed.local import LocalModel
from orchestrator.testbed.model import Known
from splitbed.codecs.releases import across_ms, encoding_ms

STEADY = Errors(0.97, 1.06)
"""Of the network, over a link that drops and delays nothing at random …"""
RANDOM = Errors(0.9, 10.0)
"""… and over one that does."""
LEAST = 0.1
"""A part takes no less of what is predicted, however busy its machine was while profiled."""
PACED = Errors(0.6, 1.8)
"""Of how much slower a UE is that was asked for some processors: in addition."""


def forecasts(
    config: SweepConfig,
    local: LocalModel,
    note: Callable[[str], None],
    profile: Profile,
    cells: Sequence[Cell],
    known: Known,
) -> Mapping[str, Prediction]:
    """Of each cell, by its key. Raises UsageError for codecs that cannot be."""
    asked = {(one.cuts, one.coding): one for one in (cell.configuration for cell in cells)}
    setups = [one for one in asked.values() if one.coding]
    facts = take_facts(config, local, profile, note, known, judge=False, setups=setups)
    predictor = Predictor(profile, facts)
    options = {(one.configuration.cuts, one.configuration.coding): one for one in facts.options}
    full_ms, macs = profile.ue.steady_ms, local.model.facts.macs or 0

    def of(cell: Cell) -> Prediction:
        option = options[cell.configuration.cuts, cell.configuration.coding]
        slowdown = _slowdown(cell.configuration.pace, macs, full_ms)
        return _prediction(predictor, option, cell, slowdown)

    return {cell.configuration.key: of(cell) for cell in cells}


def _prediction(predictor: Predictor, option: Option, cell: Cell, slowdown: float) -> Prediction:
    asked, links = cell.configuration, cell.links
    # over a link without end, what is left is the nodes'
    at_once = PlanGrid.of(PlanPoint(slowdown, 0.0, np.inf))
    work = predictor.work([option])
    nodes_ms = predictor.e2e_ms(work, at_once).item()
    doubt = ELSEWHERE.widened(predictor.profile.waited_share)
    told = doubt.long if predictor.long_parts(work, at_once).item() else doubt.short
    low, high = predictor.profile.share_errors(asked.cuts, slowdown, asked.flow)
    nodes = Errors(max(told.low * low, LEAST), told.high * high)
    if asked.pace.cpus is not None:
        nodes = Errors(nodes.low * PACED.low, nodes.high * PACED.high)
    return Prediction(
        nodes_ms=nodes_ms,
        network_ms=_network_ms(predictor, option, links, slowdown) if asked.crosses else 0.0,
        nodes=nodes,
        network=RANDOM if any(map(_is_random, links)) else STEADY,
        pace=asked.pace.words,
        work=(asked.cuts, asked.codecs, asked.pace.words),
        link=links_words(links),
    )


def _network_ms(
    predictor: Predictor, option: Option, links: Sequence[LinkSpec], slowdown: float
) -> float:
    """What it adds to what the nodes take: not the time in which they encode what is to follow."""

    def added_ms(one: Crossing) -> float:
        shape = shape_of(links, one.hop)
        nbytes = one.coded.nbytes if one.coded else predictor.facts.result_bytes
        pace = slowdown if one.encoder in predictor.flow.users else 1.0
        segment = predictor.profile.segment
        took_ms = across_ms(one.releases, nbytes, lambda n: wire_ms(n, shape, *segment), pace)
        return float(took_ms - pace * encoding_ms(one.releases))

    return max(sum(map(added_ms, way)) for way in option.ways)


def _is_random(link: LinkSpec) -> bool:
    ways = (link.uplink, link.downlink)
    return any(way.loss_pct or way.jitter_ms for way in ways)


def _slowdown(pace: Pace, macs: int, full_ms: float) -> float:
    """How many times slower the UE will be, about."""
    if pace.cpus is not None:
        return max(1.0, 1 / pace.cpus)
    return max(1.0, pace.request(macs, full_ms).slowdown)
