"""What nodes are told to do with frames, way by way, and what they say of one, put together."""

from collections.abc import Iterator, Mapping, Sequence

from orchestrator.ask.configuration import Configuration
from orchestrator.ask.flow import shape_of
from orchestrator.ask.itinerary import crossings
from orchestrator.testbed.model import SweptModel
from splitbed.codecs.stage import Range
from splitbed.flow import Itinerary
from splitbed.node.delivery import ModelInfo, model_message
from splitbed.node.stations.assignment import station_message
from splitbed.v1 import nodes_pb2
from splitbed.wire import recipe_message, tensors_of, whole_tensors


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


def together(records: Sequence[nodes_pb2.FrameRecord]) -> nodes_pb2.FrameRecord:
    """One record of at least one: stages way by way, those that ways have in common once."""
    found, *others = records
    for one in others:
        found.stages.extend(stage for stage in one.stages if stage not in found.stages)
        found.result_bytes += one.result_bytes
        found.result.extend(each for each in one.result if each.info.name not in found.results)
        found.results.update(one.results)
        if one.HasField("max_abs_diff"):
            found.max_abs_diff = max(found.max_abs_diff, one.max_abs_diff)
    return found


def result_of_heads(record: nodes_pb2.FrameRecord, model: ModelInfo) -> None:
    """Put in place of outputs, which heads tell, the result that the model's task makes of them.

    Where some were too large to be told there is none.
    """
    outputs = tensors_of(record.result)
    del record.result[:]
    if len(outputs) == len(model.outputs):
        result = model.result_of(outputs)
        record.result.extend(whole_tensors(result))
        record.results.clear()
        for name, array in result.items():
            record.results[name] = array.shape[0] if array.ndim else 1
