"""What the UE says of an edge that answers wrongly."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import pytest

from splitbed.errors import NodeError
from splitbed.tensors import TensorInfo, Tensors
from splitbed.v1 import nodes_pb2_grpc
from splitbed.v1.nodes_pb2 import PartPiece, PartRequest
from splitbed.v1.tensors_pb2 import EdgeReport, Packet, TensorHeader, TensorsHeader
from splitbed.wire import CHANNEL_OPTIONS, packets, receive
from tests.node.loopback import free_port
from ue_node.edge_client import EdgeClient

FRAME: Tensors = {"x": np.ones((2, 2), np.float32)}
RESULT = [TensorInfo("x", "FP32", (-1, 2))]
Answer = Callable[[], Iterator[Packet]]


class WrongEdge(nodes_pb2_grpc.DataServicer):
    """Takes one frame and gives the answer that it was made with."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def Frames(  # noqa: N802
        self, request: Iterator[Packet], context: grpc.ServicerContext
    ) -> Iterator[Packet]:
        receive(request)
        yield from self._answer()

    def DeliverPart(  # noqa: N802
        self, request: PartRequest, context: grpc.ServicerContext
    ) -> Iterator[PartPiece]:
        raise NotImplementedError


def another_frame() -> Iterator[Packet]:
    return packets(FRAME, frame=2)


def impossible_shape() -> Iterator[Packet]:
    tensor = TensorHeader(name="x", datatype="FP32", shape=[-5])
    yield Packet(header=TensorsHeader(tensors=[tensor], frame=1))


def enormous_result() -> Iterator[Packet]:
    tensor = TensorHeader(name="x", datatype="FP32", shape=[1 << 50])
    yield Packet(header=TensorsHeader(tensors=[tensor], frame=1))


def wrong_shape() -> Iterator[Packet]:
    return packets({"x": np.ones((2, 3), np.float32)}, frame=1)


def wrong_name() -> Iterator[Packet]:
    return packets({"y": np.ones((2, 2), np.float32)}, frame=1)


def report_before_result() -> Iterator[Packet]:
    yield Packet(report=EdgeReport())


def half_a_result() -> Iterator[Packet]:
    (whole,) = packets(FRAME, frame=1)
    del whole.header.chunks[:]
    yield whole


def nothing() -> Iterator[Packet]:
    yield from ()


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (another_frame, "answered frame 2, 1 was asked"),
        (impossible_shape, "impossible shape"),
        (enormous_result, "limit|expected"),
        (wrong_shape, r"sent x FP32\[2, 3\]; expected x FP32\[-1, 2\]"),
        (wrong_name, "sent y .* expected x"),
        (report_before_result, "answered with report, not header"),
        (half_a_result, "ended before the tensors did"),
        (nothing, "ended the stream"),
    ],
)
def test_a_wrong_answer_is_an_error_that_says_what_was_wrong(answer: Answer, says: str) -> None:
    server = grpc.server(ThreadPoolExecutor(max_workers=2), options=CHANNEL_OPTIONS)
    nodes_pb2_grpc.add_DataServicer_to_server(WrongEdge(answer), server)
    client = EdgeClient(f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}")
    server.start()
    with pytest.raises(NodeError, match=says):
        client.exchange(packets(FRAME, frame=1), 1, RESULT)
    client.close()
    server.stop(0)


def test_an_edge_that_is_not_there_is_an_error_not_a_wait() -> None:
    client = EdgeClient(f"127.0.0.1:{free_port()}")
    with pytest.raises(NodeError, match="UNAVAILABLE"):
        client.exchange(packets(FRAME, frame=1), 1, RESULT)
    client.close()
