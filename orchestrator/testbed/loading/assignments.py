"""What nodes are told to do with the frames of a configuration."""

from collections.abc import Iterator, Mapping

from orchestrator.ask.configuration import Configuration
from orchestrator.ask.flow import shape_of
from orchestrator.testbed.model import SweptModel
from splitbed.codecs.stage import Range
from splitbed.node.delivery import model_message
from splitbed.node.stations.assignment import station_message
from splitbed.v1 import nodes_pb2
from splitbed.wire import recipe_message


def assignment_message(
    number: int, asked: Configuration, model: SweptModel, ranges: Mapping[str, Range]
) -> nodes_pb2.Assignment:
    """Its itinerary, and what codecs must know, as it travels."""
    return nodes_pb2.Assignment(
        number=number,
        stations=map(station_message, asked.itinerary),
        hops=_hops(asked, model, ranges),
        model=model_message(model.info),
        channels_last=model.channels_last,
    )


def _hops(
    asked: Configuration, model: SweptModel, ranges: Mapping[str, Range]
) -> Iterator[nodes_pb2.Hop]:
    for name, cut in asked.crossings:
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
