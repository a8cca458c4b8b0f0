"""An orchestrator that is at everything at once, until it is killed: CONTROL of edge and UE.

It says so by a line once all is under way.
"""

import sys
import time
from collections.abc import Iterator
from typing import Any

import grpc

from splitbed.security.access import open_channel
from splitbed.v1 import nodes_pb2
from splitbed.v1 import nodes_pb2_grpc as rpc
from tests.hostile.calls import QUEUED, Call, kept

RUN = "dying"
ALONE = ("/Profile", "/LimitProcessor", "/ModelInfer", "/Prove", "/Offer")


def half_sent() -> Iterator[nodes_pb2.ModelPiece]:
    """A model whose end never comes."""
    yield nodes_pb2.ModelPiece(task="tensors", format="onnx", runtime="onnx", data=bytes(1000))
    while True:
        time.sleep(0.5)
        yield nodes_pb2.ModelPiece(data=bytes(1000))


def run_of(channels: dict[str, grpc.Channel]) -> None:
    """Until frames can be offered."""
    for call in kept("run"):
        if call.path.endswith("/Offer"):
            return
        if not call.path.endswith(ALONE):
            sent: Any = channels[call.node].stream_stream(call.path)
            [*sent(iter(call.messages), timeout=60)]


def profile_of(call: Call) -> Iterator[nodes_pb2.ProfilePiece]:
    """The same with as many runs as may be."""
    pieces = [*map(nodes_pb2.ProfilePiece.FromString, call.messages)]
    pieces[0].options.runs = 100_000
    yield from pieces


def main(edge: str, ue: str) -> None:
    """Frames offered, a link being proved and parts profiled on the UE; a model half sent."""
    channels = {"edge": open_channel(edge, None, None, [], RUN)}
    channels["ue"] = open_channel(ue, None, None, [], RUN)
    run_of(channels)
    queues = rpc.StationsStub(channels["ue"])
    due_ns = [frame * 50_000_000 for frame in range(20_000)]
    offer = nodes_pb2.OfferRequest(assignment=QUEUED, first=1000, inputs=[0], due_ns=due_ns)
    outcomes: Any = queues.Offer(offer)
    next(iter(outcomes))
    far: Any = rpc.NodeStub(channels["edge"]).Describe(nodes_pb2.DescribeRequest())
    shape = nodes_pb2.LinkShape(rate_mbit=0.2, delay_ms=1000)
    proof = nodes_pb2.ProveLinkRequest(
        probe_port=far.probe_port,
        probe_token=far.probe_token,
        uplink=shape,
        downlink=shape,
        peer="edge",
    )
    profiled = next(one for one in kept("run") if (one.node, one.path[-8:]) == ("ue", "/Profile"))
    under_way: list[Any] = [
        rpc.LinksStub(channels["ue"]).Prove.future(proof),
        rpc.NodeStub(channels["ue"]).Profile.future(profile_of(profiled)),
        rpc.EdgeStub(channels["edge"]).Deploy.future(half_sent()),
    ]
    time.sleep(1)
    assert not any(one.done() for one in under_way)
    sys.stdout.write("all under way\n")
    sys.stdout.flush()
    time.sleep(600)


if __name__ == "__main__":
    main(*sys.argv[1:])
