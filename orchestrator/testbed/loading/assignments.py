"""What nodes are told to do with frames, way by way, and what they say of one, put together."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from orchestrator.ask.configuration import Configuration
from orchestrator.ask.flow import of_link, shape_of
from orchestrator.ask.itinerary import crossings
from orchestrator.testbed.loading.queues import queues_of
from orchestrator.testbed.model import Known, SweptModel
from splitbed.codecs import codec_named
from splitbed.codecs.fitting import digest
from splitbed.errors import NodeError
from splitbed.flow import Itinerary
from splitbed.node.model_info import ModelInfo, model_message
from splitbed.node.stations.assignment import station_message
from splitbed.v1 import nodes_pb2
from splitbed.wire import recipe_message, tensors_of, whole_tensors


def assignment_messages(
    first: int,
    asked: Configuration,
    model: SweptModel,
    known: Known,
    *,
    clients: bool = False,
    whole: bool = False,
) -> list[nodes_pb2.Assignment]:
    """Its itineraries, numbered from the first on, and what codecs must know, as they travel.

    This is what is `known` of calibration frames: of it, each hop has what its own codec needs.
    Raises NodeError, which says why, where that could not be fitted.
    """
    return [
        nodes_pb2.Assignment(
            number=number,
            stations=(station_message(replace(one, node=asked.node(one.node))) for one in stations),
            hops=_hops(stations, asked, model, known),
            model=model_message(model.info),
            channels_last=model.channels_last,
            queues=queues_of(asked),
            clients=clients,
            whole=whole,
        )
        for number, stations in enumerate(asked.itineraries, start=first)
    ]


def _hops(
    stations: Itinerary, asked: Configuration, model: SweptModel, known: Known
) -> Iterator[nodes_pb2.Hop]:
    for station, (name, cut) in zip(stations, crossings(asked.flow, stations), strict=False):
        tensors = [one.name for one in model.graph.cuts[cut].tensors]
        stages = [one.key for one in codec_named(station.gives).stages] if station.gives else ()
        setting = known.at(cut)
        for (stage, tensor), why in setting.unfitted.items():
            if stage in stages and tensor in tensors:
                raise NodeError(f"cannot use {station.gives}: {why}")
        picture = model.picture_at(cut)
        yield nodes_pb2.Hop(
            name=name,
            rate_mbit=shape_of(asked.links, name).rate_mbit if asked.links else 0,
            rtt_ms=of_link(asked.links, name).rtt_ms if asked.links else 0,
            picture=recipe_message(picture) if picture else None,
            ranges=[
                nodes_pb2.ChannelRanges(
                    tensor=tensor,
                    low=known.ranges[tensor].low.tolist(),
                    high=known.ranges[tensor].high.tolist(),
                    axis=known.ranges[tensor].axis,
                )
                for tensor in tensors
                if tensor in known.ranges
            ],
            tables=[
                nodes_pb2.FittedTables(stage=stage, tensor=tensor, tables=table)
                for (stage, tensor), table in setting.tables.items()
                if stage in stages and tensor in tensors
            ],
        )


def check_tables(told: nodes_pb2.Assignment, answer: nodes_pb2.Assigned) -> None:
    """Raise NodeError unless a node has the tables that it was told for its ends of the hops.

    The other ends are told the same.
    """
    has = {(one.hop, one.stage, one.tensor): one.sha256 for one in answer.tables}
    for place, hop in enumerate(told.hops):
        if told.node not in (one.node for one in told.stations[place : place + 2]):
            continue
        for one in hop.tables:
            due, there = digest(one.tables), has.get((hop.name, one.stage, one.tensor), "none")
            if there != due:
                raise NodeError(
                    f"both ends of the {hop.name} must have the same tables: those of {one.stage} "
                    f"for {one.tensor} have the sha256 {due}, on the {told.node} node {there}; "
                    "install the same version on all nodes, and start them again"
                )


Answered = tuple[nodes_pb2.Assignment, nodes_pb2.FrameRecord]
"""A way that a frame went, and what the node at its end says of it."""


def together(told: Sequence[Answered], model: ModelInfo) -> nodes_pb2.FrameRecord:
    """One record, of at least one way: stages way by way, and their CPU time, those that ways have
    in common once; what nodes took besides, which each way tells of others.

    The result is that of a user who has one of the whole model; else what the model's task makes
    of the outputs of all heads. There is none where these are too few, or were too large.
    """
    (_, found), *others = told
    for _, one in others:
        found.stages.extend(stage for stage in one.stages if stage not in found.stages)
        found.cpu.extend(spent for spent in one.cpu if spent not in found.cpu)
        found.footprints.extend(one.footprints)
        found.result_bytes += one.result_bytes
        found.results.update(one.results)
        if one.HasField("max_abs_diff"):
            found.max_abs_diff = max(found.max_abs_diff, one.max_abs_diff)
    if others:
        _take_result(found, told, model)
    return found


def _take_result(found: nodes_pb2.FrameRecord, told: Sequence[Answered], model: ModelInfo) -> None:
    whole = [one for way, one in told if not way.stations[-1].span.outputs]
    result = tensors_of(whole[0].result) if whole else {}
    outputs = {name: it for _, one in told for name, it in tensors_of(one.result).items()}
    if not whole and len(outputs) == len(model.outputs):
        result = model.result_of(outputs)
    del found.result[:]
    found.result.extend(whole_tensors(result))
    if result:
        found.results.clear()
    for name, array in result.items():
        found.results[name] = array.shape[0] if array.ndim else 1
