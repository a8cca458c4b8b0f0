"""Takes the profiles of a flow's nodes, one after another, and makes one profile of them.

Nodes on one machine with as many threads share what is of the whole model and of its layers.
"""

from collections.abc import Iterable, Sequence
from itertools import chain, pairwise
from typing import TypeVar

from netem.wire import Segment, tcp_segment
from orchestrator.ask.configuration import Configuration
from orchestrator.ask.flow import FLOWS, anchors_of
from orchestrator.ask.precision import FP32
from orchestrator.ask.sweep.config import SweepConfig
from orchestrator.ask.sweep.grid import configurations, heads_of
from orchestrator.ask.topology import kind_of
from orchestrator.measure.profiling.node import Asked, outlined, profiled
from orchestrator.results.profile import CutSizes, NodeProfile, Profile
from orchestrator.testbed.loading.parts import HELD_BYTES
from orchestrator.testbed.model import SweptModel
from orchestrator.testbed.nodes.pair import Pair
from splitbed import flow
from splitbed.codecs import RAW
from splitbed.graphs.parts import extract_span

MOST_PARTS = 8
"""Cuts whose parts are run; the whole model besides."""

Each = TypeVar("Each")


def take_profile(config: SweepConfig, model: SweptModel, pair: Pair) -> Profile:
    """Profile the model on each node that runs a part, one after another.

    Of the cuts that `config` asks for some have their parts run: every one where they are few.
    Raises NodeError and UsageError.
    """
    places = _places(model)
    spans = [*pairwise(places)]
    taken: dict[str, NodeProfile] = {}
    heads = _heads(config, model)
    for name, parts in _parts(config, model, pair).items():
        told = () if _alike(name, config, pair) else spans
        asked = Asked(name, _threads(name, config), parts, heads.get(name, ()))
        taken[name] = profiled(asked, told, model, pair)
    # what slowed one of them for a while was not the node
    whole = taken[pair.holder]
    alike = [name for name in taken if name == pair.holder or _alike(name, config, pair)]
    for name in heads.keys() & alike:
        taken[name] = _with_layers(taken[name], whole, model, heads[name])
    alike = [name for name in alike if name not in heads]
    quick_ms = min(taken[name].steady_ms for name in alike)
    paced_ms = min(taken[name].paced_ms for name in alike)
    layers = tuple(one.replaced(ms=one.ms * quick_ms / whole.steady_ms) for one in whole.layers)
    for name in alike if len(alike) > 1 else ():
        taken[name] = taken[name].replaced(steady_ms=quick_ms, paced_ms=paced_ms, layers=layers)
    return _profile(taken, pair, [_sizes(model, k) for k in places])


def take_outline(config: SweepConfig, model: SweptModel, pair: Pair) -> Profile:
    """A profile for a race, whose first answer is waited for. Raises NodeError and UsageError.

    The whole model is run and no layer: their shares of it are those of their multiply-accumulates
    (:data:`orchestrator.results.profile.SHARE_DOUBT`). Parts are not cut, so that their sizes are
    not known.
    """
    places = _places(model)
    spans = [*pairwise(places)]
    taken: dict[str, NodeProfile] = {}
    heads = _heads(config, model)
    for name in _parts(config, model, pair):
        alike = _alike(name, config, pair) and name not in heads
        asked = Asked(name, _threads(name, config), (), heads.get(name, ()))
        taken[name] = taken[pair.holder] if alike else outlined(asked, spans, model, pair)
    sizes = [CutSizes(k=k, intermediate_bytes=_crossing(model, k)) for k in places]
    return _profile(taken, pair, sizes).replaced(outline=True)


def _profile(taken: dict[str, NodeProfile], pair: Pair, cuts: Sequence[CutSizes]) -> Profile:
    others = {name: one for name, one in taken.items() if name not in (pair.user, pair.holder)}
    segment = _segment(pair)
    return Profile(
        ue=taken[pair.user],
        edge=taken[pair.holder],
        others=others,
        cuts=tuple(cuts),
        segment_bytes=segment.payload_bytes,
        header_bytes=segment.header_bytes,
    )


def _parts(config: SweepConfig, model: SweptModel, pair: Pair) -> dict[str, list[flow.Span]]:
    """What each node is to run, by its name, the whole model among it: the holder first."""
    n, places = model.graph.n, _places(model)
    as_it_is = config.replaced(ue_precision=(FP32,), edge_precision=(FP32,))
    every = configurations(as_it_is, model, lambda _: [RAW])
    anchors = anchors_of(config.flow, n).values()
    inner = [one for one in every if one.cuts not in anchors and _runnable(model, one.cuts)]
    if not inner and FLOWS[config.flow].parts == 2:
        own = (Configuration(k, n, "", flow=config.flow) for k in places[1:-1])
        inner = [one for one in own if _runnable(model, one.cuts)]
    ends = [one for one in every if one.cuts in anchors]
    found: dict[str, list[flow.Span]] = {pair.holder: []}
    for one in (*ends[:-1], *chosen(inner, _most_parts(model)), ends[-1]):
        for station in chain(*one.itineraries):
            span = station.span._replace(version="")  # as the model is
            if span.first < span.last and span not in found.get(station.node, ()):
                found.setdefault(station.node, []).append(span)
    return found


def _heads(config: SweepConfig, model: SweptModel) -> dict[str, tuple[int, ...]]:
    """Which outputs each user makes, where these are not all."""
    users = zip(FLOWS[config.flow].users, heads_of(config, model.graph), strict=True)
    return {user: outputs for user, outputs in users if outputs}


def _with_layers(
    node: NodeProfile, like: NodeProfile, model: SweptModel, outputs: tuple[int, ...]
) -> NodeProfile:
    """With the layers that a head needs as they are on another node that is as fast."""
    needed = [one.ms * model.needed((one.first, one.last), outputs) for one in like.layers]
    scale = node.steady_ms / sum(needed)
    layers = [one.replaced(ms=ms * scale) for one, ms in zip(like.layers, needed, strict=True)]
    return node.replaced(layers=tuple(layers))


def _places(model: SweptModel) -> list[int]:
    """The cuts that can be made."""
    n = model.graph.n
    return [cut.k for cut in model.graph.cuts if cut.crossable or cut.k in (0, n)]


def _threads(name: str, config: SweepConfig) -> int:
    return config.ue_threads if kind_of(name) == "ue" else config.edge_threads


def _alike(name: str, config: SweepConfig, pair: Pair) -> bool:
    """Whether it is another node on the machine of the one that cuts, which computes as that."""
    holder = pair.holder
    both = [pair.nodes[one].says for one in (name, holder)]
    places = {(one.clock, one.provider) for one in both}
    return name != holder and len(places) == 1 and _threads(name, config) == config.edge_threads


def _segment(pair: Pair) -> Segment:
    said = [node.says for node in pair.nodes.values()]
    return tcp_segment(
        min((one.mtu for one in said if one.mtu), default=1500), ipv6=any(one.ipv6 for one in said)
    )


def chosen(cuts: Sequence[Each], most: int) -> list[Each]:
    """At most so many of these, evenly spread."""
    if len(cuts) <= most:
        return [*cuts]
    return [cuts[(2 * place + 1) * len(cuts) // (2 * most)] for place in range(most)]


def _runnable(model: SweptModel, cuts: Iterable[int]) -> bool:
    """Whether the parts behind these cuts can be fed what is made up."""
    tensors = (one for k in cuts if 0 < k < model.graph.n for one in model.graph.cuts[k].tensors)
    return not any(one.is_index for one in tensors)


def _most_parts(model: SweptModel) -> int:
    return min(MOST_PARTS, HELD_BYTES // max(model.file_bytes, 1))


def _sizes(model: SweptModel, k: int) -> CutSizes:
    crossing = _crossing(model, k)
    if k == 0:
        return CutSizes(k=k, part1_bytes=0, intermediate_bytes=crossing)
    part1 = extract_span(model.stored, 0, k)
    part1.remove()
    return CutSizes(k=k, part1_bytes=part1.nbytes, intermediate_bytes=crossing)


def _crossing(model: SweptModel, k: int) -> int:
    return 0 if k == model.graph.n else model.graph.cuts[k].nbytes
