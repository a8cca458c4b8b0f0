"""Takes the profiles of both nodes (clause 10.2.7), in processes of their own there.

    whole model, then each layer alone       what a layer's share of the whole is
    real parts, open at once, run by turns   what the ends of parts and waiting add to their layers
    whole model alone, for a race            its layers' shares are told by what they compute

Nodes on one machine with as many threads share what is of the whole model and of its layers.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from netem.wire import SEGMENT_BYTES, segment_bytes_of
from orchestrator.ask.flow import FLOWS
from orchestrator.ask.sweep_config import SweepConfig
from orchestrator.results.profile import CutSizes, NodeProfile, PartTime, Profile, Span
from orchestrator.testbed.model import SweptModel
from orchestrator.testbed.pair import Pair, Side
from splitbed.errors import NodeError
from splitbed.graphs.parts import extract_span
from splitbed.graphs.splits import resolve
from splitbed.node.delivery import CutPart, Parcel, pack
from splitbed.runtime.part_profile import PartProfile, layer_times
from splitbed.v1 import nodes_pb2

RUNS, WARMUP = 6, 1
OUTLINE_RUNS = 2
TURNS = 7
MOST_PARTS = 8
"""Cuts whose parts are run; the whole model besides."""
HELD_BYTES = 1 << 30
"""Files of all that is open at once."""

Range = tuple[int, int]


def take_profile(config: SweepConfig, model: SweptModel, pair: Pair) -> Profile:
    """Profile the model on both nodes, one after the other. Raises NodeError and UsageError.

    Of the cuts that `config` asks for some have their parts run: every one where they are few.
    """
    asked = [split.k for split in resolve(model.graph, config.split, model.named_splits)]
    n, places = model.graph.n, _places(model)
    spans = [*pairwise(places)]
    cuts = chosen(_runnable(model, asked) or _runnable(model, places), _most_parts(model))
    firsts, lasts = [(0, k) for k in (*cuts, n)], [(k, n) for k in (0, *cuts)]
    own = {FLOWS[config.flow].node_of(part): run for part, run in ((1, firsts), (2, lasts))}
    edge = _of_node(_Asked("edge", config.edge_threads, own["edge"]), spans, model, pair)
    alike = _alike(config, pair)
    ue_asked = _Asked("ue", config.ue_threads, own["ue"])
    ue = _of_node(ue_asked, () if alike else spans, model, pair)
    if alike:
        # what slowed one of them for a while was not the node
        quick_ms, paced_ms = min(ue.steady_ms, edge.steady_ms), min(ue.paced_ms, edge.paced_ms)
        layers = tuple(one.replaced(ms=one.ms * quick_ms / edge.steady_ms) for one in edge.layers)
        ue, edge = (
            node.replaced(steady_ms=quick_ms, paced_ms=paced_ms, layers=layers)
            for node in (ue, edge)
        )
    cuts_made = tuple(_sizes(model, k) for k in places)
    return Profile(ue=ue, edge=edge, cuts=cuts_made, segment_bytes=_segment_bytes(pair))


def take_outline(config: SweepConfig, model: SweptModel, pair: Pair) -> Profile:
    """A profile for a race, whose first answer is waited for. Raises NodeError and UsageError.

    The whole model is run and no layer: their shares of it are those of their multiply-accumulates
    (:data:`orchestrator.results.profile.SHARE_DOUBT`). Parts are not cut, so that their sizes are
    not known.
    """
    edge = _outline("edge", config.edge_threads, model, pair)
    alike = _alike(config, pair)
    ue = edge if alike else _outline("ue", config.ue_threads, model, pair)
    sizes = [CutSizes(k=k, intermediate_bytes=_crossing(model, k)) for k in _places(model)]
    segment_bytes = _segment_bytes(pair)
    return Profile(ue=ue, edge=edge, cuts=tuple(sizes), segment_bytes=segment_bytes, outline=True)


def _outline(side: Side, threads: int, model: SweptModel, pair: Pair) -> NodeProfile:
    (whole,) = _run(_Asked(side, threads, ()), OUTLINE_RUNS, [(0, model.graph.n)], model, pair)
    layers = [
        _span(model, first, last, (_share(model, last) - _share(model, first)) * whole.steady_ms)
        for first, last in pairwise(_places(model))
    ]
    return NodeProfile(
        steady_ms=whole.steady_ms,
        paced_ms=whole.paced_ms or whole.steady_ms,
        layers=tuple(layers),
    )


def _share(model: SweptModel, k: int) -> float:
    """What the layers before this cut take of the whole's time.

    Of a model that multiplies nothing, by how many they are.
    """
    whole = model.graph.cuts[0].edge_macs
    return model.graph.cuts[k].ue_macs / whole if whole else k / model.graph.n


def _places(model: SweptModel) -> list[int]:
    """The cuts that can be made."""
    n = model.graph.n
    return [cut.k for cut in model.graph.cuts if cut.crossable or cut.k in (0, n)]


def _alike(config: SweepConfig, pair: Pair) -> bool:
    """Whether both nodes are one machine with as many threads."""
    return pair.ue.clock == pair.edge.clock and config.ue_threads == config.edge_threads


def _segment_bytes(pair: Pair) -> int:
    mtus = [node.mtu for node in (pair.ue, pair.edge) if node.mtu]
    return segment_bytes_of(min(mtus)) if mtus else SEGMENT_BYTES


def chosen(cuts: Sequence[int], most: int) -> list[int]:
    """At most so many of these, evenly spread."""
    if len(cuts) <= most:
        return [*cuts]
    return [cuts[(2 * place + 1) * len(cuts) // (2 * most)] for place in range(most)]


def _runnable(model: SweptModel, cuts: Iterable[int]) -> list[int]:
    """Those inside whose part 2 can be fed what is made up."""
    inside = sorted({k for k in cuts if 0 < k < model.graph.n})
    return [k for k in inside if not any(one.is_index for one in model.graph.cuts[k].tensors)]


def _most_parts(model: SweptModel) -> int:
    return min(MOST_PARTS, HELD_BYTES // max(model.file_bytes, 1))


@dataclass(frozen=True)
class _Asked:
    """A node, and the parts that it is to run by turns, the whole model among them."""

    side: Side
    threads: int
    parts: Sequence[Range]


def _of_node(asked: _Asked, spans: Sequence[Range], model: SweptModel, pair: Pair) -> NodeProfile:
    whole, *alone = _run(asked, RUNS, [(0, model.graph.n), *spans], model, pair)
    parts: list[PartTime] = []
    waited: list[float] = []
    # what a part computes a size from may not be made up: its layers predict it then
    with suppress(NodeError):
        ran = _run(asked, TURNS, asked.parts, model, pair, by_turns=True) if asked.parts else []
        parts = [
            PartTime(first=first, last=last, ms=one.steady_ms)
            for (first, last), one in zip(asked.parts, ran, strict=True)
        ]
        waited = [one.waited_share for one in ran if one.waited_share is not None]
    layers = zip(spans, layer_times(whole, alone) if alone else (), strict=True)
    return NodeProfile(
        init_ms=whole.init_ms,
        warmup_ms=whole.first_ms,
        steady_ms=whole.steady_ms,
        paced_ms=whole.paced_ms or whole.steady_ms,
        init_memory_bytes=whole.init_memory_bytes or 0,
        overall_memory_bytes=whole.overall_memory_bytes or 0,
        layers=tuple(_span(model, first, last, ms) for (first, last), ms in layers),
        parts=tuple(parts),
        waited_share=median(waited) if waited else 0.0,
    )


def _span(model: SweptModel, first: int, last: int, ms: float) -> Span:
    layers = model.graph.layers[first:last]
    op = "+".join(layer.op for layer in layers)
    return Span(first=first, last=last, name=layers[0].name, op=op, ms=ms)


def _run(
    asked: _Asked,
    runs: int,
    parts: Sequence[Range],
    model: SweptModel,
    pair: Pair,
    *,
    by_turns: bool = False,
) -> list[PartProfile]:
    options = nodes_pb2.ProfileOptions(
        threads=asked.threads, warmup=WARMUP, runs=runs, by_turns=by_turns
    )
    with TemporaryDirectory(dir=model.stored.folder) as folder:
        # packed before any is sent: gRPC would not say what went wrong in its iterator
        parcels = [*_parcels(parts, model, Path(folder))]
        reply = pair.profile(asked.side, _pieces(options, parcels))
    return [
        PartProfile(
            part.init_ms,
            part.first_ms,
            part.steady_ms,
            part.min_ms,
            part.paced_ms,
            part.init_memory_bytes,
            part.overall_memory_bytes,
            part.waited_share if part.HasField("waited_share") else None,
        )
        for part in reply.parts
    ]


def _parcels(parts: Sequence[Range], model: SweptModel, folder: Path) -> Iterator[Parcel]:
    for index, (first, last) in enumerate(parts):
        part = extract_span(model.stored, first, last)
        (own := folder / str(index)).mkdir()
        yield pack(CutPart(part, (first, last), model.info), own)
        part.remove()


def _pieces(
    options: nodes_pb2.ProfileOptions, parcels: list[Parcel]
) -> Iterator[nodes_pb2.ProfilePiece]:
    yield nodes_pb2.ProfilePiece(options=options)
    for parcel in parcels:
        for piece in parcel.pieces():
            yield nodes_pb2.ProfilePiece(piece=piece)


def _sizes(model: SweptModel, k: int) -> CutSizes:
    crossing = _crossing(model, k)
    if k == 0:
        return CutSizes(k=k, part1_bytes=0, intermediate_bytes=crossing)
    part1 = extract_span(model.stored, 0, k)
    part1.remove()
    return CutSizes(k=k, part1_bytes=part1.nbytes, intermediate_bytes=crossing)


def _crossing(model: SweptModel, k: int) -> int:
    return 0 if k == model.graph.n else model.graph.cuts[k].nbytes
