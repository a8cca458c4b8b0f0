"""The physical floor of one frame: what it would take if nothing but the work took time.

    bound = every stage on a node + of every hop, wire time + one-way delay

Wire time counts the headers (:mod:`netem.wire`). Where what is sent is encoded meanwhile, it is no
less than that takes.
"""

from collections.abc import Iterable, Mapping, Sequence

from netem.spec import LinkSpec
from netem.wire import Segment, wire_ms
from orchestrator.ask.flow import of_link, shape_of
from orchestrator.results.records import Hop
from splitbed.timeline import NS_PER_MS, PREPROCESS, WAIT, Timeline, is_hop


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
    encoding_ns: Mapping[str, int] | None = None,
) -> float:
    """What of it is the links', each with TCP segments of its own, in their order.

    ``encoding_ns`` is what encoding took of a hop.
    """
    encoding, total_ms = encoding_ns or {}, 0.0
    for hop in sent:
        shape = shape_of(links, hop.name)
        took_ms = wire_ms(hop.bytes, shape, *of_link(segments, hop.name))
        least_ms = encoding.get(hop.name, 0) / NS_PER_MS
        total_ms += max(took_ms, least_ms + shape.delay_ms if least_ms else 0.0)
    return total_ms
