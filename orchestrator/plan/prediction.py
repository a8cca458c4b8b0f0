"""Predicts the end-to-end time of every option over every link, from a profile of its nodes.

Parts and codecs are as slow as after a pause: a node waits between frames, if only for the next
input.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

import numpy as np
import numpy.typing as npt

from orchestrator.ask.flow import FLOWS, Flow
from orchestrator.ask.sweep.config import SweepConfig
from orchestrator.plan.doubt import ELSEWHERE, LONG_MS, Doubt
from orchestrator.plan.facts import Facts, Option
from orchestrator.plan.grid import Floats, PlanGrid
from orchestrator.plan.load.processors import Processors
from orchestrator.results.judgement.accuracy import Fitness, drawn, fitness_of
from orchestrator.results.prediction import FRAMING, Bools, Way, Work, e2e_ms, on_wire_ms
from orchestrator.results.profile import Profile
from splitbed.codecs.releases import Release, encoding_ms
from splitbed.errors import UsageError

Own = tuple[float | None, float | None]
"""The rate and the delay that a hop has of its own, whatever the grid says; None: it has none."""


def own_ways(config: SweepConfig) -> dict[str, Own]:
    """Of each direction of its flow's links. Raises UsageError for links that no plan predicts."""
    flow, found = FLOWS[config.flow], {}
    if config.shared:
        raise UsageError(
            f"the links of {config.place.name} are one, and a plan knows links that nobody shares: "
            "give another --topology, or measure each cell with a sweep"
        )
    for ends, (name, own) in zip(flow.links, config.own_shapes.items(), strict=True):
        for hop in flow.directions:
            if {*flow.ends(hop)} == {*ends}:
                told = own.told("uplink" if hop.startswith("uplink") else "downlink")
                if told.jitter_ms or told.loss_pct:
                    raise UsageError(
                        f"the link {name} is to lose packets, or to delay them at random, and a "
                        "plan knows no such links: plan without, or measure each cell with a sweep"
                    )
                found[hop] = told.rate_mbit, told.delay_ms
    return found


@dataclass(frozen=True)
class Predictor:
    """Of one model on one pair of nodes; nothing that loses more accuracy than `max_drop`.

    Links are as the grid says, but for what each direction `owns`.
    """

    profile: Profile
    facts: Facts
    max_drop: float = math.inf
    doubt: Doubt = ELSEWHERE
    owns: Mapping[str, Own] = field(default_factory=dict)
    shared: Processors | None = None
    """Those of one machine that all nodes are on."""

    @property
    def flow(self) -> Flow:
        """That of all options."""
        return FLOWS[self.facts.options[0].configuration.flow]

    @property
    def options(self) -> tuple[Option, ...]:
        """All that can be chosen."""
        return tuple(one for one in self.facts.options if self._is_fit(one))

    @property
    def left_out(self) -> tuple[Option, ...]:
        """Those that lose more, or nobody knows how much."""
        return tuple(one for one in self.facts.options if not self._is_fit(one))

    def _is_fit(self, option: Option) -> bool:
        if self.max_drop == math.inf or option.configuration.lossless:
            return True
        if drawn(self.facts.weights) or option.accuracy_drop is None:
            return False
        ends = option.accuracy_drop_low, option.accuracy_drop_high
        return fitness_of(option.accuracy_drop, *ends, self.max_drop) is Fitness.FIT

    def work(self, options: Sequence[Option]) -> Work:
        """Of these options."""
        count, flow = len(options), self.flow
        parts_ms, others_ms = ({node: np.zeros(count) for node in flow.nodes} for _ in range(2))
        sent = {hop: np.full(count, np.nan) for hop in flow.hops}
        released: dict[str, list[tuple[Release, ...]]] = {hop: [()] * count for hop in flow.hops}
        for place, option in enumerate(options):
            for station in dict.fromkeys(chain(*option.configuration.itineraries)):
                node = self.profile.node(station.node)
                parts_ms[station.node][place] += node.part_ms(station.first, station.last)
                if station.result and not station.outputs:  # a head's outputs are its result
                    others_ms[station.node][place] += self.facts.result_ms
            for one in option.crossings:
                if one.coded is None:
                    sent[one.hop][place] = self.facts.result_bytes
                    continue
                sent[one.hop][place] = one.coded.nbytes * FRAMING
                released[one.hop][place] = one.releases
                if one.encoder:
                    others_ms[one.encoder][place] += one.coded.encode_ms
                if one.decoder:
                    others_ms[one.decoder][place] += one.coded.decode_ms
        sent_bytes = np.array([float(option.sent_bytes) for option in options])
        return Work(parts_ms, others_ms, sent, sent_bytes, flow, released)

    def e2e_ms(self, work: Work, grid: PlanGrid) -> Floats:
        """Predicted times of shape (items of `work`, points of `grid`)."""
        slowdown, _, _ = grid.points()
        return e2e_ms(work, slowdown, self.links(grid))

    def wire_ms(self, work: Work, grid: PlanGrid) -> Floats:
        """What of that the link takes; shaped alike."""
        return on_wire_ms(work, self.links(grid))

    def links(self, grid: PlanGrid) -> dict[str, Way]:
        """What each direction of a link takes, an item for each point."""
        _, delay_ms, bw_mbit = grid.points()

        def own(value: float | None, instead: Floats) -> Floats:
            return instead if value is None else np.full_like(instead, value)

        segment = self.profile.segment
        told = {hop: self.owns.get(hop, (None, None)) for hop in self.flow.directions}
        return {
            hop: Way(own(rate, bw_mbit), own(delay, delay_ms), segment)
            for hop, (rate, delay) in told.items()
        }

    def ends_ms(self, work: Work, grid: PlanGrid) -> tuple[Floats, Floats]:
        """The ends of what will be measured; shaped alike."""
        long = self.long_parts(work, grid)
        return self.doubt.ends_ms(self.e2e_ms(work, grid), self.wire_ms(work, grid), long)

    def long_parts(self, work: Work, grid: PlanGrid) -> Bools:
        """Whether all parts that there are take :data:`LONG_MS` or more; shaped as `e2e_ms`."""
        slowdown, _, _ = grid.points()
        nodes_ms = np.broadcast_arrays(*work.slowed_ms(slowdown).values())
        return np.asarray(np.all([(ms == 0) | (ms >= LONG_MS) for ms in nodes_ms], axis=0))

    def ue_ms(self, work: Work, slowdown: Floats) -> Floats:
        """What options take of a user's node, the most of any.

        Of shape (items of `work`, slow-downs).
        """
        own_ms = np.max([_of_node_ms(work, user) for user in work.flow.users], axis=0)
        return np.asarray(own_ms[:, None] * slowdown)


def _of_node_ms(work: Work, node: str) -> Floats:
    """What they take of a node at its own pace, with what it encodes while it sends."""
    own_ms = work.parts_ms[node] + work.others_ms[node]
    sending = [every for hop, every in work.released.items() if work.flow.ends(hop)[0] == node]
    for every in sending[:1]:  # what goes several ways is encoded once
        own_ms = own_ms + np.array([encoding_ms(one) for one in every])
    return own_ms


@dataclass(frozen=True)
class Plan:
    """Predictions of all options (rows) at all points of a grid (columns), and who is best."""

    predictor: Predictor
    grid: PlanGrid
    options: tuple[Option, ...]
    work: Work
    e2e_ms: Floats
    low_ms: Floats
    high_ms: Floats
    """The ends of what will be measured, of the predictor's doubt."""
    ranks: npt.NDArray[np.intp]
    """Of each point, its two fastest options, or the only one twice."""
    pareto: Bools
    """Whether no other option is better in time, bytes or UE time, and no worse in the others."""

    @property
    def best_ms(self) -> Floats:
        """The least predicted time at each point."""
        return np.asarray(self.e2e_ms.min(axis=0))

    @property
    def margin(self) -> Floats:
        """By what share the second is slower than the best, at each point."""
        second = np.take_along_axis(self.e2e_ms, self.ranks[1:2], axis=0)[0]
        return np.asarray(second / self.best_ms - 1)

    @property
    def sure(self) -> Bools:
        """Whether the best's interval is below that of every other, at each point."""
        return np.asarray(~self.may_be_best.any(axis=0))

    @property
    def may_be_best(self) -> Bools:
        """Of each option besides the best, whether its interval overlaps the best's."""
        at_best = self.ranks[:1]
        overlap = self.low_ms <= np.take_along_axis(self.high_ms, at_best, axis=0)
        np.put_along_axis(overlap, at_best, False, axis=0)
        return np.asarray(overlap)


def make_plan(predictor: Predictor, grid: PlanGrid) -> Plan:
    """Predict every configuration."""
    options = predictor.options
    work = predictor.work(options)
    e2e_ms = predictor.e2e_ms(work, grid)
    low_ms, high_ms = predictor.ends_ms(work, grid)
    ranks = np.argsort(e2e_ms, axis=0, kind="stable")[:2]
    if len(ranks) < 2:
        ranks = np.concatenate([ranks, ranks])
    ue_ms = predictor.ue_ms(work, np.ones(1))[:, 0]
    front = _pareto(e2e_ms, work.sent_bytes, ue_ms)
    return Plan(predictor, grid, options, work, e2e_ms, low_ms, high_ms, ranks, front)


def _pareto(e2e_ms: Floats, sent_bytes: Floats, ue_ms: Floats) -> Bools:
    """Whether each option is on the front of its point; only the time depends on the point."""
    no_worse = (sent_bytes[:, None] <= sent_bytes) & (ue_ms[:, None] <= ue_ms)
    better = no_worse & ((sent_bytes[:, None] < sent_bytes) | (ue_ms[:, None] < ue_ms))
    front = np.empty(e2e_ms.shape, np.bool_)
    for option in range(len(e2e_ms)):
        beaten = (e2e_ms[better[:, option]] <= e2e_ms[option]).any(axis=0)
        tied = (e2e_ms[no_worse[:, option]] < e2e_ms[option]).any(axis=0)
        front[option] = ~(beaten | tied)
    return front
