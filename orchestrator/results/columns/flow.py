"""The columns that a flow has besides those of all rows: they follow from its places and hops.

    ue_encode_ms, uplink_bytes, edge_decode_ms …     of `downlink`, where both nodes encode

None for the flow uplink, whose stages all rows have. They stand behind the others.
"""

from collections import Counter
from collections.abc import Iterator
from functools import cache

from orchestrator.ask.flow import FLOWS, UPLINK, Flow, at_node
from orchestrator.results.columns import Column
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
    return {column.name: column for column in _columns(FLOWS[flow])}


def _columns(flow: Flow) -> Iterator[Column]:
    coding = Counter(stage for place in range(len(flow.way)) for stage in _coding(flow, place))
    for place, (node, part) in enumerate(flow.way):
        if part > 2:
            yield from _of_part(part, node)
        for stage in _coding(flow, place):
            if coding[stage] > 1:  # else the column of all rows has it
                meaning = f"{_DOING[stage]} on the node {node}"
                yield Column(meaning, "ms", NO_FRAME, name=f"{at_node(node, stage)}_ms", kind=float)
        if place < len(flow.hops):
            hop = flow.hops[place]
            if f"{hop}_ms" not in MainColumns.__struct_fields__:
                meaning = f"from {node}'s first byte on the {hop} until all is there"
                yield Column(meaning, "ms", NO_FRAME, name=f"{hop}_ms", kind=float)
            meaning = f"what {node} sends on the {hop}, the mean of the frames"
            yield Column(meaning, "bytes", NO_FRAME, name=f"{hop}_bytes", kind=int)


def _of_part(part: int, node: str) -> Iterator[Column]:
    """As all rows have them of the first two."""
    words, predicted = f"part {part}, on {node}", f"part {part} as the profile predicts it"
    size = f"size of part {part} as a model file"
    yield Column(size, "bytes", NOT_LOADED, name=part_column(part, "bytes"), kind=int)
    yield Column(words, "ms", NO_FRAME, name=part_column(part, "ms"), kind=float)
    name = part_column(part, "predicted_ms")
    yield Column(predicted, "ms", NO_PROFILE, name=name, kind=float)


def _coding(flow: Flow, place: int) -> Iterator[str]:
    """What is done there with tensors that cross: results cross as they are."""
    _, part = flow.way[place]
    if part and place:
        yield "decode"
    if any(part for _, part in flow.way[place + 1 :]):
        yield "encode"
