"""The physical floor of one frame: what it would take if nothing but the work took time.

    bound = every stage on a node + of every hop, wire time + one-way delay

Wire time counts the headers (:mod:`netem.wire`).
"""

from collections.abc import Iterable, Sequence

from netem.spec import LinkSpec
from netem.wire import Segment, wire_ms
from orchestrator.ask.flow import of_link, shape_of
from orchestrator.results.records import Hop
from splitbed.timeline import PREPROCESS, WAIT, Timeline, is_hop


def is_node_stage(name: str) -> bool:
    """Whether a stage is work of a node that counts, between which bytes cross."""
    return name not in (PREPROCESS, WAIT) and not is_hop(name)


def bound_ms(timeline: Timeline, sent: Iterable[Hop], *links: LinkSpec) -> float:
    """The floor for a frame whose stages on nodes took what `timeline` says."""
    stages = (stage for stage in timeline.stages if is_node_stage(stage.name))
    return sum(stage.ms for stage in stages) + crossing_ms(sent, links)


def crossing_ms(
    sent: Iterable[Hop], links: Sequence[LinkSpec], segments: Sequence[Segment] = (Segment(),)
) -> float:
    """What of it is the links', each with TCP segments of its own, in their order."""
    return sum(
        wire_ms(hop.bytes, shape_of(links, hop.name), *of_link(segments, hop.name)) for hop in sent
    )
