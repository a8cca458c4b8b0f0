"""Takes the profile of one node (clause 10.2.7), in a process of its own there.

whole model, then each layer alone       what a layer's share of the whole is
real parts, open at once, run by turns   what the ends of parts and waiting add to their layers
whole model alone, for a race            its layers' shares are told by what they compute
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from orchestrator.results.profile import NodeProfile, PartTime, Span
from orchestrator.testbed.model import SweptModel
from orchestrator.testbed.nodes.pair import Pair
from splitbed import flow
from splitbed.errors import NodeError
from splitbed.graphs.parts import extract_part, extract_span
from splitbed.node.delivery import CutPart, Parcel, pack
from splitbed.runtime.part_profile import PartProfile, layer_times
from splitbed.v1 import nodes_pb2

RUNS, WARMUP = 6, 1
OUTLINE_RUNS = 2
TURNS = 7

Range = tuple[int, int]


@dataclass(frozen=True)
class Asked:
    """A node, and the parts that it is to run by turns, the whole model among them."""

    name: str
    threads: int
    parts: Sequence[flow.Span]
    outputs: tuple[int, ...] = ()
    """Of its head, where it has but one."""


def profiled(asked: Asked, spans: Sequence[Range], model: SweptModel, pair: Pair) -> NodeProfile:
    """Of the whole model, of each of these layers, and of the parts. Raises NodeError."""
    needed = [span for span in spans if model.needed(span, asked.outputs)]
    every = [_whole(asked, model), *(flow.Span(*span) for span in needed)]
    whole, *alone = _run(asked, RUNS, every, model, pair)
    parts: list[PartTime] = []
    waited: list[float] = []
    # what a part computes a size from may not be made up: its layers predict it then
    with suppress(NodeError):
        ran = _run(asked, TURNS, asked.parts, model, pair, by_turns=True) if asked.parts else []
        parts = [
            PartTime(first=part.first, last=part.last, ms=one.steady_ms)
            for part, one in zip(asked.parts, ran, strict=True)
        ]
        waited = [one.waited_share for one in ran if one.waited_share is not None]
    took = dict(zip(needed, layer_times(whole, alone) if alone else (), strict=True))
    return NodeProfile(
        init_ms=whole.init_ms,
        warmup_ms=whole.first_ms,
        steady_ms=whole.steady_ms,
        paced_ms=whole.paced_ms or whole.steady_ms,
        init_memory_bytes=whole.init_memory_bytes or 0,
        overall_memory_bytes=whole.overall_memory_bytes or 0,
        layers=tuple(_span(model, *span, ms=took.get(span, 0.0)) for span in spans),
        parts=tuple(parts),
        waited_share=median(waited) if waited else 0.0,
    )


def _span(model: SweptModel, first: int, last: int, ms: float) -> Span:
    layers = model.graph.layers[first:last]
    op = "+".join(layer.op for layer in layers)
    return Span(first=first, last=last, name=layers[0].name, op=op, ms=ms)


def _run(
    asked: Asked,
    runs: int,
    parts: Sequence[flow.Span],
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
        reply = pair.profile(asked.name, _pieces(options, parcels))
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


def _parcels(parts: Sequence[flow.Span], model: SweptModel, folder: Path) -> Iterator[Parcel]:
    for index, span in enumerate(parts):
        part = (
            extract_part(model.stored, *span[:3])
            if span.outputs
            else extract_span(model.stored, span.first, span.last)
        )
        (own := folder / str(index)).mkdir()
        yield pack(CutPart(part, span, model.info), own)
        part.remove()


def _pieces(
    options: nodes_pb2.ProfileOptions, parcels: list[Parcel]
) -> Iterator[nodes_pb2.ProfilePiece]:
    yield nodes_pb2.ProfilePiece(options=options)
    for parcel in parcels:
        for piece in parcel.pieces():
            yield nodes_pb2.ProfilePiece(piece=piece)


def outlined(asked: Asked, spans: Sequence[Range], model: SweptModel, pair: Pair) -> NodeProfile:
    """Of the whole model alone: its layers by what they compute. Raises NodeError."""
    (whole,) = _run(asked, OUTLINE_RUNS, [_whole(asked, model)], model, pair)
    work = [model.work(span) * model.needed(span, asked.outputs) for span in spans]
    layers = [
        _span(model, *span, ms=own * whole.steady_ms / sum(work))
        for span, own in zip(spans, work, strict=True)
    ]
    return NodeProfile(
        steady_ms=whole.steady_ms,
        paced_ms=whole.paced_ms or whole.steady_ms,
        layers=tuple(layers),
    )


def _whole(asked: Asked, model: SweptModel) -> flow.Span:
    return flow.Span(0, model.graph.n, asked.outputs)
