"""How frames of a configuration wait for one another, as its nodes are told."""

from orchestrator.ask.configuration import Configuration
from splitbed.v1 import nodes_pb2


def queues_of(asked: Configuration) -> nodes_pb2.Queues | None:
    """None where frames are asked for one by one."""
    load = asked.load
    if not load.offered:
        return None
    return nodes_pb2.Queues(in_flight=load.in_flight, most=load.queue, drop=load.drop)
