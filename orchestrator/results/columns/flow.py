"""The columns that a flow has besides those of all rows: they follow from its places and hops.

    ue_encode_ms, uplink_bytes, edge_decode_ms …     of `downlink`, where both nodes encode

None for the flow uplink, whose stages all rows have. They stand behind the others.
"""

from collections import Counter
from collections.abc import Iterator
from functools import cache

from orchestrator.ask.flow import FLOWS, UPLINK, Flow, Way, at_node
from orchestrator.results.columns import Column
from orchestrator.results.columns.links import link_columns
from orchestrator.results.columns.main import NO_FRAME, NO_PROFILE, NOT_LOADED, MainColumns

_DOING = {"encode": "encoding", "decode": "decoding"}


def part_column(part: int, what: str) -> str:
    """The column of a part: `part3_ms`, `part3_bytes`, `part3_predicted_ms`."""
    return f"part{part}_{what}"


@cache
def flow_columns(flow: str) -> dict[str, Column]:
    """By their names, in the order in which a frame comes by."""
    if flow == UPLINK:
        return {}
    of_flow = FLOWS[flow]
    return {column.name: column for column in (*_columns(of_flow), *link_columns(of_flow))}


@cache
def stages_of(flow: str) -> tuple[str, ...]:
    """What a frame goes through that counts, in order; coding on several nodes is one stage.

    Each has a column, as ``part1_ms``. Of several users' ways, the first one's.
    """
    asked, found = FLOWS[flow], []
    hops = asked.hops_of(asked.way)
    for place, (_, part) in enumerate(asked.way):
        doing = [*_doing(asked.way, place)]
        after = doing.index("encode") if "encode" in doing else len(doing)
        found += doing[:after] + ["result"] * (part == asked.parts) + doing[after:]
        found += hops[place : place + 1]
    return tuple(dict.fromkeys(found))


def doers(flow: str, stage: str) -> list[str]:
    """The nodes that may ``encode`` or ``decode`` what crosses, or run a part."""
    steps = ((way, place) for way in FLOWS[flow].ways for place in range(len(way)))
    return [*dict.fromkeys(way[place][0] for way, place in steps if stage in _doing(way, place))]


def _columns(flow: Flow) -> Iterator[Column]:
    # what begins at the source begins there on all ways
    steps = [
        (way, place)
        for number, way in enumerate(flow.ways)
        for place in range(number > 0, len(way))
    ]
    doing = Counter(stage for step in steps for stage in _doing(*step))
    for way, place in steps:
        node, part = way[place]
        if place:
            yield from _of_hop(flow, way[place - 1][0], node)
        if part > 2:
            yield from _of_part(part, node)
        for stage in _doing(way, place):
            if doing[stage] > 1:  # else the column of all rows has it
                words = f"part {part}," if stage.startswith("part") else _DOING[stage]
                yield _times(f"{words} on the node {node}", at_node(node, stage))
        if len(flow.ways) > 1 and place == len(way) - 1:
            yield _times(f"end-to-end time until its result is on {node}", at_node(node, "e2e"))


def _of_part(part: int, node: str) -> Iterator[Column]:
    """As all rows have them of the first two."""
    words, predicted = f"part {part}, on {node}", f"part {part} as the profile predicts it"
    size = f"size of part {part} as a model file"
    yield Column(size, "bytes", NOT_LOADED, name=part_column(part, "bytes"), kind=int)
    head, name = f"part {part}", part_column(part, "ms")
    yield Column(words, "ms", NO_FRAME, head, name=name, kind=float)
    name = part_column(part, "predicted_ms")
    yield Column(predicted, "ms", NO_PROFILE, name=name, kind=float)


def _of_hop(flow: Flow, sender: str, receiver: str) -> Iterator[Column]:
    hop = flow.hop(sender, receiver)
    if f"{hop}_ms" not in MainColumns.__struct_fields__:
        yield _times(f"from {sender}'s first byte on the {hop} until all is there", hop)
    meaning = f"what {sender} sends on the {hop}, the mean of the frames"
    yield Column(meaning, "bytes", NO_FRAME, name=f"{hop}_bytes", kind=int)


def _times(meaning: str, what: str) -> Column:
    return Column(meaning, "ms", NO_FRAME, name=f"{what}_ms", kind=float)


def _doing(way: Way, place: int) -> Iterator[str]:
    """What is done there with tensors that cross, and the part: results cross as they are."""
    _, part = way[place]
    if part and place:
        yield "decode"
    if part:
        yield f"part{part}"
    if any(part for _, part in way[place + 1 :]):
        yield "encode"
