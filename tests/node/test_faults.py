"""What nodes do with peers that are of another version, or send what they should not."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from orchestrator.measure.conditions import warnings
from orchestrator.testbed.nodes.pair import Pair
from splitbed.errors import NodeError
from splitbed.messages import messages
from splitbed.v1 import nodes_pb2, nodes_pb2_grpc
from splitbed.v1.tensors_pb2 import FrameHeader, Header, TensorHeader
from splitbed.wire import PROTOCOL
from tests.node.loopback import SIDE, Splits, free_port, loopback_pair


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Splits]:
    with loopback_pair(tmp_path_factory.mktemp("pair")) as both:
        (splits := Splits(*both)).load(3)
        yield splits


def data_address(pair: Pair) -> str:
    # the probe has the data plane's number
    return f"127.0.0.1:{pair.edge.probe_port}"


def frame_is_fine(splits: Splits) -> bool:
    record = splits.run()
    return bool(record.HasField("max_abs_diff") and record.max_abs_diff < 1e-3)


def test_a_node_of_another_protocol_is_refused_with_what_repairs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTHER", "protocol")
    with (
        pytest.raises(
            NodeError, match=f"protocol 2, this orchestrator {PROTOCOL}: install the same"
        ),
        loopback_pair(tmp_path, edge_module="tests.node.other_node"),
    ):
        pass


def test_a_channel_that_was_closed_before_it_was_used_is_a_node_that_was_let_go(
    tmp_path: Path,
) -> None:
    with (
        loopback_pair(tmp_path) as (pair, _),
        pytest.raises(NodeError, match=r"the edge node was let go \(asked to say what it is\)"),
        pair.nodes["edge"].asked("say what it is"),
    ):
        stub = nodes_pb2_grpc.NodeStub(pair.nodes["edge"].channel)
        pair.nodes["edge"].channel.close()
        stub.Describe(nodes_pb2.DescribeRequest())


def test_other_versions_of_packages_are_warned_about(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTHER", "packages")
    with loopback_pair(tmp_path, edge_module="tests.node.other_node") as (pair, _):
        (said,) = warnings(pair)
    assert "different versions of onnxruntime" in said
    assert "0.0.1" in said


def test_the_same_versions_are_not_warned_about(shared: Splits) -> None:
    assert warnings(shared.pair) == []


def refusal(pair: Pair, sent: list[bytes]) -> grpc.StatusCode:
    """How the edge's data plane ends a stream of these messages."""
    with grpc.insecure_channel(data_address(pair)) as channel:
        call: grpc.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream(
            "/splitbed.v1.Data/Frames", None, None
        )
        with pytest.raises(grpc.RpcError) as refused:
            list(call(iter(sent)))
    code: grpc.StatusCode = refused.value.code()
    return code


def test_a_message_that_is_too_large_is_refused_and_the_next_frame_is_fine(
    shared: Splits,
) -> None:
    assert refusal(shared.pair, [bytes(5 << 20)]) is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert frame_is_fine(shared)


@pytest.mark.parametrize(
    "sent",
    [[bytes(1)], [b"\xff" * 100], [bytes(4), b""], [*messages(Header())]],
    ids=["too short", "no header", "empty", "of nothing"],
)
def test_a_message_that_means_nothing_is_refused_and_the_next_frame_is_fine(
    sent: list[bytes], shared: Splits
) -> None:
    assert refusal(shared.pair, sent) is grpc.StatusCode.FAILED_PRECONDITION
    assert frame_is_fine(shared)


@pytest.mark.parametrize("sent", [b"GET / HTTP/1.1\r\n\r\n", b"\0" * 300, b"PRI * HTTP/2.0\r\n"])
def test_what_is_not_grpc_or_breaks_off_is_dropped_and_the_next_frame_is_fine(
    sent: bytes, shared: Splits
) -> None:
    host, _, port = data_address(shared.pair).partition(":")
    with socket.create_connection((host, int(port)), timeout=5) as peer:
        peer.sendall(sent)
    assert frame_is_fine(shared)


def test_a_frame_that_breaks_off_is_given_up_and_the_next_one_is_fine(
    shared: Splits,
) -> None:
    pair = shared.pair
    tensors = [TensorHeader(name="d", datatype="FP32", shape=[1, 8, SIDE, SIDE])]
    number = shared.parts.assignment(shared.last)
    half = FrameHeader(frame=1 << 40, assignment=number, at=1, tensors=tensors)
    assert refusal(pair, [*messages(Header(frame=half))]) is grpc.StatusCode.FAILED_PRECONDITION
    assert frame_is_fine(shared)


def test_a_metrics_port_in_use_stops_the_start_with_how_to_find_who_has_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        argv = [sys.executable, "-m", "edge_node", "serve", "--metrics", f"127.0.0.1:{port}"]
        argv += ["--listen", f"127.0.0.1:{free_port()}", "--control", "127.0.0.1:1"]
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 3
    assert f"127.0.0.1:{port}" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_new_run_finds_a_node_as_new(shared: Splits) -> None:
    pair = shared.pair
    node = pair.nodes["ue"]
    nodes_pb2_grpc.NodeStub(node.channel).Reset(nodes_pb2.ResetRequest())
    with pytest.raises(NodeError, match=r"no assignment \d+ holds here, only none"):
        shared.run()
