"""How a node shares its work among frames, as it is told."""

from orchestrator.ask.load.edge_work import EdgeWork
from orchestrator.ask.topology import kind_of
from splitbed.v1 import nodes_pb2


def at_node(
    assignment: nodes_pb2.Assignment, name: str, work: EdgeWork, *, crowd: bool
) -> nodes_pb2.Assignment:
    """What a node is told: one of the network how it shares its work, where frames may meet there.

    Those of a crowd do, where each UE has one under way at a time, too.
    """
    told = nodes_pb2.Assignment()
    told.CopyFrom(assignment)
    told.node = name
    if kind_of(name) == "edge" and (crowd or assignment.HasField("queues")):
        queues = told.queues
        queues.most = work.queue or queues.most
        queues.workers, queues.batch, queues.batch_wait_ms = work.workers, work.batch, work.wait_ms
    return told
