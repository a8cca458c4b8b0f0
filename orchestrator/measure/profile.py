"""Takes the profiles of both nodes (clause 10.2.7).

Each node runs the whole model, then each layer alone, in a process of its own.
"""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

from orchestrator.ask.sweep_config import SweepConfig
from orchestrator.results.profile import CutSizes, NodeProfile, Profile, Span
from orchestrator.testbed.model import SweptModel
from orchestrator.testbed.pair import Pair, Side
from splitbed.graphs.parts import Part, extract_span
from splitbed.node.delivery import CutPart, Parcel, pack
from splitbed.runtime.profiler import PartProfile, layer_times
from splitbed.v1 import nodes_pb2

RUNS, WARMUP = 12, 2


def take_profile(config: SweepConfig, model: SweptModel, pair: Pair) -> Profile:
    """Profile the model on both nodes, one after the other. Raises NodeError and UsageError."""
    places = [cut.k for cut in model.graph.cuts if cut.crossable or cut.k in (0, model.graph.n)]
    return Profile(
        ue=_of_node("ue", config.ue_threads, places, model, pair),
        edge=_of_node("edge", config.edge_threads, places, model, pair),
        cuts=tuple(_sizes(model, k) for k in places),
    )


def _of_node(
    side: Side, threads: int, places: list[int], model: SweptModel, pair: Pair
) -> NodeProfile:
    options = nodes_pb2.ProfileOptions(threads=threads, warmup=WARMUP, runs=RUNS)
    with TemporaryDirectory(dir=model.stored.folder) as folder:
        # packed before any is sent: gRPC would not say what went wrong in its iterator
        parcels = [*_parcels(places, model, Path(folder))]
        reply = pair.profile(side, _pieces(options, parcels))
    whole, *alone = [
        PartProfile(
            part.init_ms,
            part.first_ms,
            part.steady_ms,
            part.min_ms,
            part.paced_ms,
            part.init_memory_bytes,
            part.overall_memory_bytes,
        )
        for part in reply.parts
    ]
    spans = []
    for (first, last), ms in zip(pairwise(places), layer_times(whole, alone), strict=True):
        layers = model.graph.layers[first:last]
        name, op = layers[0].name, "+".join(layer.op for layer in layers)
        spans.append(Span(first=first, last=last, name=name, op=op, ms=ms))
    return NodeProfile(
        init_ms=whole.init_ms,
        warmup_ms=whole.first_ms,
        steady_ms=whole.steady_ms,
        paced_ms=whole.paced_ms or whole.steady_ms,
        init_memory_bytes=whole.init_memory_bytes or 0,
        overall_memory_bytes=whole.overall_memory_bytes or 0,
        layers=tuple(spans),
    )


def _parcels(places: list[int], model: SweptModel, folder: Path) -> Iterator[Parcel]:
    for index, part in enumerate(_parts(places, model)):
        (own := folder / str(index)).mkdir()
        yield pack(CutPart(part, 0, model.info), own)
        part.remove()


def _pieces(
    options: nodes_pb2.ProfileOptions, parcels: list[Parcel]
) -> Iterator[nodes_pb2.ProfilePiece]:
    yield nodes_pb2.ProfilePiece(options=options)
    for parcel in parcels:
        for piece in parcel.pieces():
            yield nodes_pb2.ProfilePiece(piece=piece)


def _parts(places: list[int], model: SweptModel) -> Iterator[Part]:
    """The whole model, then each span."""
    yield extract_span(model.stored, 0, model.graph.n)
    for first, last in pairwise(places):
        yield extract_span(model.stored, first, last)


def _sizes(model: SweptModel, k: int) -> CutSizes:
    crossing = 0 if k == model.graph.n else model.graph.cuts[k].nbytes
    if k == 0:
        return CutSizes(k=k, part1_bytes=0, intermediate_bytes=crossing)
    part1 = extract_span(model.stored, 0, k)
    part1.remove()
    return CutSizes(k=k, part1_bytes=part1.nbytes, intermediate_bytes=crossing)
