"""Itineraries: what each station of a flow does with a frame of a split, and what crosses then."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from itertools import accumulate

from orchestrator.ask.flow import FLOWS
from orchestrator.ask.split_point import layers_of
from splitbed.codecs import RAW
from splitbed.flow import RESULT_CODEC, Itinerary, Station, hops


def itinerary(
    name: str,
    cuts: Sequence[int],
    n: int,
    codec: str = RAW,
    input_codec: str = RAW,
    output_codec: str = "",
    *,
    user: int = 0,
) -> Itinerary:
    """The stations of a frame of a model of `n` layers that is cut at `cuts`.

    ``input_codec`` is what the input crosses with, ``codec`` what intermediate data does. Results
    cross raw, made where the last layer runs; with an ``output_codec`` outputs cross, and the
    result is made where it is wanted. Where nothing crosses there is one station. ``user`` says to
    which one, where the flow has several.
    """
    ends, done = (0, *cuts, n), 0
    way: list[Station] = []
    for node, part in FLOWS[name].ways[user]:
        first, done = (ends[part - 1], ends[part]) if part else (done, done)
        way.append(Station(node, first, done, part=part))
    way = _straight(way)
    result = len(way) - 1 if output_codec else [one.last for one in way].index(n)
    gives = {0: input_codec, n: output_codec or RESULT_CODEC}
    return tuple(
        replace(
            one,
            source=place == 0,
            result=place == result,
            gives=gives.get(one.last, codec) if place < len(way) - 1 else "",
        )
        for place, one in enumerate(way)
    )


def with_head(stations: Itinerary, outputs: tuple[int, ...]) -> Itinerary:
    """The same, where a user runs the last layers that make these outputs alone."""
    *before, last = stations
    return (*before, replace(last, outputs=outputs)) if last.result else stations


def _straight(way: list[Station]) -> list[Station]:
    """Without detours: from a node back to itself, by way of others that would run nothing."""
    for start, one in enumerate(way):
        for end in range(len(way) - 1, start, -1):
            other, between = way[end], way[start + 1 : end]
            if other.node == one.node and all(idle.first == idle.last for idle in between):
                both = replace(one, last=other.last, part=one.part or other.part)
                return [*way[:start], *_straight([both, *way[end + 1 :]])]
    return way


def crossings(name: str, stations: Itinerary) -> tuple[tuple[str, int], ...]:
    """What crosses on each hop, by its stage: the tensors of a cut; of the last one, results."""
    flow = FLOWS[name]
    return tuple((flow.hop(one.node, other.node), one.last) for one, other in hops(stations))


@cache
def sends_input(name: str, split: str) -> bool:
    """Whether the input itself crosses a link."""
    return 0 in (cut for _, cut in crossings_of(name, split))


@cache
def crossings_of(name: str, split: str) -> tuple[tuple[str, int], ...]:
    """As :func:`crossings`, of a split k:n-k, to all users."""
    *cuts, n = accumulate(layers_of(split))
    ways = [itinerary(name, cuts, n, user=user) for user in range(len(FLOWS[name].ways))]
    return tuple(dict.fromkeys(hop for way in ways for hop in crossings(name, way)))
