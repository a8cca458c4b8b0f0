"""What is asked of nodes whose frames end on others than they began, by nodes that are made up."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from threading import Semaphore
from types import SimpleNamespace
from typing import Any, cast

import grpc
import pytest

from orchestrator.testbed.nodes.node import Node
from orchestrator.testbed.nodes.ways import Ways
from splitbed.node.model_info import ModelInfo
from splitbed.v1 import nodes_pb2

FRAMES, RECORD_BYTES = 400, 50_000
"""More than a stream that nobody reads takes in."""


def heads() -> grpc.GenericRpcHandler:
    """A source whose frames all fail at one head, once the other has told of them."""
    told = Semaphore(0)

    def take(request: nodes_pb2.TakeRequest, _: object) -> Iterator[nodes_pb2.FrameRecords]:
        for frame in range(1, FRAMES + 1):
            record = nodes_pb2.FrameRecord(frame=frame, results={"x" * RECORD_BYTES: 1})
            yield nodes_pb2.FrameRecords(records=[record])
            told.release()

    def offer(
        request: nodes_pb2.OfferRequest, context: grpc.ServicerContext
    ) -> Iterator[nodes_pb2.Outcomes]:
        for frame in range(request.first, request.first + FRAMES):
            if not told.acquire(timeout=5):
                context.abort(grpc.StatusCode.FAILED_PRECONDITION, "a head waits to be read")
            lost = nodes_pb2.Outcome(frame=frame, outcome="error", reason="the other head failed")
            yield nodes_pb2.Outcomes(outcomes=[lost])

    every: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
        "Assign": grpc.unary_unary_rpc_method_handler(
            lambda _, context: nodes_pb2.Assigned(),
            nodes_pb2.Assignment.FromString,
            nodes_pb2.Assigned.SerializeToString,
        ),
        "TakeFrames": grpc.unary_stream_rpc_method_handler(
            take, nodes_pb2.TakeRequest.FromString, nodes_pb2.FrameRecords.SerializeToString
        ),
        "Offer": grpc.unary_stream_rpc_method_handler(
            offer, nodes_pb2.OfferRequest.FromString, nodes_pb2.Outcomes.SerializeToString
        ),
    }
    return grpc.method_handlers_generic_handler("splitbed.v1.Stations", every)


@pytest.fixture
def ways() -> Iterator[Ways]:
    server = grpc.server(ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers((heads(),))
    address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    with grpc.insecure_channel(address) as channel:
        nodes = {
            name: cast(Node, SimpleNamespace(side=name, channel=channel, asked=nullcontext))
            for name in ("edge", "ue-1")
        }
        yield Ways(
            nodes,
            lambda name, ask, what: ask(nodes[name]),
            cast(ModelInfo, None),
            "edge",
            crowd=False,
        )
    server.stop(0)


def test_where_every_frame_fails_at_one_head_the_other_is_read_from(ways: Ways) -> None:
    stations = [nodes_pb2.Station(node=name) for name in ("edge", "ue-1")]
    ways.assign([nodes_pb2.Assignment(number=1, stations=stations)], keep=())
    request = nodes_pb2.OfferRequest(assignment=1, frames=FRAMES)
    told = [*ways.offer(request, 60)]
    assert [one.outcome for one in told] == ["error"] * FRAMES
