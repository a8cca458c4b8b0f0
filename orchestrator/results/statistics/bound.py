"""The physical floor of one frame: what it would take if nothing but the work took time.

    bound = every stage on a node + of every hop, wire time + one-way delay

Wire time counts the headers (:mod:`netem.wire`). Where what is sent is encoded meanwhile, pieces
cross once they are there (:mod:`splitbed.codecs.releases`).
"""

from collections.abc import Iterable, Mapping, Sequence

from netem.spec import LinkSpec, Shape
from netem.wire import Segment, wire_ms
from orchestrator.ask.flow import of_link, shape_of
from orchestrator.results.records import Hop
from splitbed.codecs.releases import Release, across_ms
from splitbed.timeline import PREPROCESS, WAIT, Timeline, is_hop


def is_node_stage(name: str) -> bool:
    """Whether a stage is work of a node that counts, between which bytes cross."""
    return name not in (PREPROCESS, WAIT) and not is_hop(name)


def bound_ms(timeline: Timeline, sent: Iterable[Hop], *links: LinkSpec) -> float:
    """The floor for a frame whose stages on nodes took what `timeline` says."""
    stages = (stage for stage in timeline.stages if is_node_stage(stage.name))
    return sum(stage.ms for stage in stages) + crossing_ms(sent, links)


def crossing_ms(
    sent: Iterable[Hop],
    links: Sequence[LinkSpec],
    segments: Sequence[Segment] = (Segment(),),
    released: Mapping[str, Sequence[Release]] | None = None,
) -> float:
    """What of it is the links', each with TCP segments of its own, in their order.

    ``released`` is what was encoded meanwhile, of each hop that has any.
    """
    found = released or {}
    return sum(
        _hop_ms(
            hop, shape_of(links, hop.name), of_link(segments, hop.name), found.get(hop.name, ())
        )
        for hop in sent
    )


def _hop_ms(hop: Hop, shape: Shape, segment: Segment, releases: Sequence[Release]) -> float:
    took_ms = across_ms(releases, hop.bytes, lambda nbytes: wire_ms(nbytes, shape, *segment))
    return float(took_ms)
