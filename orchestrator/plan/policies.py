"""The decisions of published policies on a plan's links, and what each costs against the plan.

device only    all on the UE                network only   all on the edge, the input as first asked
neurosurgeon   argmin over the cuts of layer times and bytes over rate (Kang et al., ASPLOS 2017)
dads           minimum cut of the same costs over the graph (Hu et al., INFOCOM 2019)

The last two know no headers, codecs, delay or pauses, as published; neurosurgeon chooses among the
plan's splits, dads among all partitions of the graph, of which a testbed can measure cuts only.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from orchestrator.ask.configuration import Configuration
from orchestrator.ask.flow import UPLINK
from orchestrator.ask.split_point import DEVICE_ANCHOR, NETWORK_ANCHOR, Anchor
from orchestrator.plan.facts import Coded, Option
from orchestrator.plan.grid import Floats, PlanGrid
from orchestrator.plan.prediction import Plan, Predictor
from orchestrator.results.prediction import FRAMING, Work
from orchestrator.results.profile import NodeProfile
from splitbed.codecs import RAW
from splitbed.graphs.mincut import Partition, cost_ms, minimum_cut

Choices = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Decisions:
    """What a policy chooses at each point: the index of a label, and the time predicted of it.

    `options` has for each label what a testbed can measure, None where that is nothing. `gain_ms`
    is by how much it beats every cut k:n-k, by its own costs.
    """

    labels: tuple[str, ...]
    options: tuple[Option | None, ...]
    chosen: Choices
    e2e_ms: Floats
    gain_ms: Floats

    def regret(self, plan: Plan) -> Floats:
        """How much longer than the plan's best, as a share; below 0 the plan has no such split."""
        return np.asarray(self.e2e_ms / plan.best_ms - 1)


def decisions(plan: Plan) -> dict[str, Decisions]:
    """Of every policy, by its name; two know a UE that runs the first layers alone."""
    flow = plan.options[0].configuration.flow
    names = PUBLISHED if flow == UPLINK else ANYWHERE
    return {name: PUBLISHED[name](plan) for name in names}


def _device_only(plan: Plan) -> Decisions:
    return _always(plan, DEVICE_ANCHOR)


def _network_only(plan: Plan) -> Decisions:
    return _always(plan, NETWORK_ANCHOR)


def _always(plan: Plan, anchor: Anchor) -> Decisions:
    """The anchor with the codec first asked for; of one on each of several nodes, the fastest."""
    first: dict[tuple[int, ...], Option] = {}
    for one in plan.predictor.facts.options:
        if one.configuration.anchor == anchor:
            first.setdefault(one.configuration.cuts, one)
    options = [*first.values()]
    e2e_ms = plan.predictor.e2e_ms(plan.predictor.work(options), plan.grid)
    words = tuple(one.configuration.words for one in options)
    nothing = np.zeros(plan.grid.size)
    return Decisions(words, tuple(options), e2e_ms.argmin(axis=0), e2e_ms.min(axis=0), nothing)


def _neurosurgeon(plan: Plan) -> Decisions:
    raw = [_raw(plan.predictor, k) for k in dict.fromkeys(o.configuration.k for o in plan.options)]
    work = plan.predictor.work(raw)
    slowdown, _, bw_mbit = plan.grid.points()
    wire_ms = work.sent_bytes[:, None] * 8 / (bw_mbit * 1e3)
    told_ms = work.parts_ms["ue"][:, None] * slowdown + wire_ms + work.parts_ms["edge"][:, None]
    chosen = told_ms.argmin(axis=0)
    e2e_ms = plan.predictor.e2e_ms(work, plan.grid)
    picked = np.take_along_axis(e2e_ms, chosen[None], axis=0)[0]
    return Decisions(
        tuple(o.configuration.words for o in raw),
        tuple(raw),
        chosen,
        picked,
        np.zeros(plan.grid.size),
    )


def _dads(plan: Plan) -> Decisions:
    found = partitions(plan.predictor, plan.grid)
    kinds = list(dict.fromkeys(found.values()))
    slowdown, _, bw_mbit = plan.grid.points()
    chosen = np.array([kinds.index(found[at]) for at in zip(slowdown, bw_mbit, strict=True)])
    e2e_ms = plan.predictor.e2e_ms(_work(plan.predictor, kinds), plan.grid)
    cuts = [cut_of(plan.predictor, ue) for ue in kinds]
    options = [None if k is None else _raw(plan.predictor, k) for k in cuts]
    for place, option in enumerate(options):
        if option:  # it is one of the plan's: parts that were run are known better than their sums
            work = plan.predictor.work([option])
            e2e_ms[place] = plan.predictor.e2e_ms(work, plan.grid)[0]
    picked = np.take_along_axis(e2e_ms, chosen[None], axis=0)[0]
    labels = [
        option.configuration.words if option else f"{len(ue)} units on the UE, no cut k:n-k"
        for option, ue in zip(options, kinds, strict=True)
    ]
    return Decisions(tuple(labels), tuple(options), chosen, picked, _gains_ms(plan, found))


PUBLISHED: Mapping[str, Callable[[Plan], Decisions]] = {
    "device only": _device_only,
    "network only": _network_only,
    "neurosurgeon": _neurosurgeon,
    "dads": _dads,
}
ANYWHERE = ("device only", "network only")
"""Those that know every flow."""


def partitions(predictor: Predictor, grid: PlanGrid) -> dict[tuple[float, float], frozenset[int]]:
    """The units that the minimum cut leaves on the UE, at each slow-down and rate.

    A delay is the same for all that crosses.
    """
    found: dict[tuple[float, float], frozenset[int]] = {}
    ue_ms, edge_ms = (times.tolist() for times in _unit_ms(predictor))

    def cut_at(slowdown: float, bw_mbit: float) -> frozenset[int]:
        slowed_ms, ms_per_byte = [slowdown * ms for ms in ue_ms], 8 / (bw_mbit * 1e3)
        return minimum_cut(predictor.facts.dag, slowed_ms, edge_ms, ms_per_byte).ue

    def fill(
        slowdown: float, rates: Sequence[float], low: frozenset[int], high: frozenset[int]
    ) -> None:
        # what costs is linear in the time of a byte: a cut that is best at both ends is between
        if low == high or len(rates) < 3:
            found.update({(slowdown, rate): low for rate in rates[:-1]})
            found[slowdown, rates[-1]] = high
            return
        middle = len(rates) // 2
        between = cut_at(slowdown, rates[middle])
        fill(slowdown, rates[: middle + 1], low, between)
        fill(slowdown, rates[middle:], between, high)

    for slowdown in grid.ue_slowdown.tolist():
        rates = grid.bw_mbit.tolist()
        fill(slowdown, rates, cut_at(slowdown, rates[0]), cut_at(slowdown, rates[-1]))
    return found


def _gains_ms(plan: Plan, found: Mapping[tuple[float, float], frozenset[int]]) -> Floats:
    """By how much each minimum cut beats every cut k:n-k: 0 where it is one."""
    predictor, gains = plan.predictor, {}
    profile = predictor.profile
    ue_ms, edge_ms = (times.tolist() for times in _unit_ms(predictor))
    first = np.array([profile.ue.ms(0, cut.k) for cut in profile.cuts])
    rest = np.array([profile.edge.ms(cut.k, profile.n) for cut in profile.cuts])
    nbytes = np.array([cut.intermediate_bytes for cut in profile.cuts])
    for (slowdown, bw_mbit), ue in found.items():
        slowed_ms, ms_per_byte = [slowdown * ms for ms in ue_ms], 8 / (bw_mbit * 1e3)
        least_ms = cost_ms(predictor.facts.dag, ue, slowed_ms, edge_ms, ms_per_byte)
        linear_ms = float((slowdown * first + nbytes * ms_per_byte + rest).min())
        gains[slowdown, bw_mbit] = max(round(linear_ms - least_ms, 6), 0.0)
    slowdowns, _, rates = plan.grid.points()
    return np.array([gains[at] for at in zip(slowdowns, rates, strict=True)])


def cut_of(predictor: Predictor, ue: frozenset[int]) -> int | None:
    """The cut k:n-k that leaves these units on the UE; None where no such cut does."""
    units = Partition(ue, 0.0).k
    cuts = predictor.profile.cuts
    return None if units is None else cuts[min(units, len(cuts) - 1)].k


def _unit_ms(predictor: Predictor) -> tuple[Floats, Floats]:
    """Of each unit of the graph on either node, the result last: it is left out of these costs."""
    ue, edge = (_layers_ms(node) for node in (predictor.profile.ue, predictor.profile.edge))
    return np.append(ue, 0.0), np.append(edge, 0.0)


def _layers_ms(node: NodeProfile) -> Floats:
    return np.array([span.ms for span in node.layers])


def _work(predictor: Predictor, kinds: list[frozenset[int]]) -> Work:
    dag, (ue_ms, edge_ms) = predictor.facts.dag, _unit_ms(predictor)
    on_ue = np.array([[unit in ue for unit in range(dag.n)] for ue in kinds])
    sent = [float(sum(wire.nbytes for wire in dag.crossing(ue))) for ue in kinds]
    profile, facts = predictor.profile, predictor.facts
    crosses = ~on_ue[:, :-1].all(axis=1)
    return Work(
        parts_ms={
            "ue": _paced_ms(profile.ue, on_ue @ ue_ms),
            "edge": _paced_ms(profile.edge, ~on_ue @ edge_ms),
        },
        others_ms={
            "ue": np.where(crosses, 0.0, facts.result_ms),
            "edge": np.where(crosses, facts.result_ms, 0.0),
        },
        sent={
            "uplink": np.where(crosses, FRAMING * np.array(sent), np.nan),
            "downlink": np.where(crosses, facts.result_bytes, np.nan),
        },
        sent_bytes=np.array(sent),
    )


def _paced_ms(node: NodeProfile, layers_ms: Floats) -> Floats:
    return np.array([node.paced_part_ms(ms) if ms > 0 else 0.0 for ms in layers_ms.tolist()])


def _raw(predictor: Predictor, k: int) -> Option:
    """The cut without a codec, under its label in the plan if it has one there."""
    known = {option.configuration.k: option for option in reversed(predictor.options)}
    n = predictor.profile.n
    if k == n:
        return known[k]
    if k in known:  # as it is asked for there, so that it is measured once
        asked = replace(known[k].configuration, codec=RAW)
    else:
        asked = Configuration(k, n, f"{k}:{n - k}", RAW)
    (nbytes,) = [cut.intermediate_bytes for cut in predictor.profile.cuts if cut.k == k]
    return Option(configuration=asked, coded=(Coded(nbytes=nbytes),))
