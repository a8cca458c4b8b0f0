"""What nodes are told to do with the frames of a configuration."""

from collections.abc import Iterator, Mapping

from orchestrator.ask.configuration import Configuration
from orchestrator.ask.flow import crossings, shape_of
from orchestrator.testbed.model import SweptModel
from splitbed.codecs.stage import Range
from splitbed.flow import Itinerary
from splitbed.node.delivery import model_message
from splitbed.node.stations.assignment import station_message
from splitbed.v1 import nodes_pb2
from splitbed.wire import recipe_message


def assignment_messages(
    first: int, asked: Configuration, model: SweptModel, ranges: Mapping[str, Range]
) -> list[nodes_pb2.Assignment]:
    """Its itineraries, numbered from the first on, and what codecs must know, as they travel."""
    return [
        nodes_pb2.Assignment(
            number=number,
            stations=map(station_message, stations),
            hops=_hops(stations, asked, model, ranges),
            model=model_message(model.info),
            channels_last=model.channels_last,
        )
        for number, stations in enumerate(asked.itineraries, start=first)
    ]


def _hops(
    stations: Itinerary, asked: Configuration, model: SweptModel, ranges: Mapping[str, Range]
) -> Iterator[nodes_pb2.Hop]:
    for name, cut in crossings(asked.flow, stations):
        picture = model.picture_at(cut)
        yield nodes_pb2.Hop(
            name=name,
            rate_mbit=shape_of([asked.link], name).rate_mbit if asked.link else 0,
            picture=recipe_message(picture) if picture else None,
            ranges=[
                nodes_pb2.ChannelRanges(
                    tensor=tensor.name,
                    low=ranges[tensor.name].low.tolist(),
                    high=ranges[tensor.name].high.tolist(),
                )
                for tensor in model.graph.cuts[cut].tensors
                if tensor.name in ranges
            ],
        )
