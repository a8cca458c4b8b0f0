"""Both ends of a stream: what goes either way, and what is said of a peer that sends wrongly."""

import math
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

import grpc
import numpy as np
import pytest

from splitbed.codecs.coder import Piece
from splitbed.errors import NodeError
from splitbed.messages import messages, padding
from splitbed.node.calls import slots
from splitbed.node.calls.door import Door, Inline
from splitbed.node.calls.slots import Slots
from splitbed.node.stream import Stream
from splitbed.node.streams import call
from splitbed.node.streams.call import DrivenCall, QueuedCall, open_call
from splitbed.node.streams.connection import Dialled, streams
from splitbed.security.access import Guard, server_credentials
from splitbed.security.authority import issue_authority
from splitbed.tensors import TensorInfo, Tensors
from splitbed.v1.tensors_pb2 import Ended, FrameHeader, Header, Report, TensorHeader
from splitbed.wire import CHANNEL_OPTIONS
from tests.node.loopback import free_port
from tests.security.certified import certified
from tests.shared_machine import until

FRAME: Tensors = {"x": np.ones((2, 2), np.float32)}
RESULT = [TensorInfo("x", "FP32", (-1, 2))]
LARGE: Tensors = {"x": np.arange(1_000_000, dtype=np.float32)}


@pytest.fixture(autouse=True, params=[DrivenCall, QueuedCall])
def _calls(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Either way of driving a call is the same to who uses it."""
    monkeypatch.setattr(call, "DrivenCall", request.param)


def of_frame(number: int) -> Header:
    return Header(frame=FrameHeader(frame=number))


@contextmanager
def dialled(serve: Callable[[Stream], None]) -> Iterator[Dialled]:
    """A node that `serve`s streams, as one that dials it sees it."""
    server = grpc.server(ThreadPoolExecutor(max_workers=4), options=CHANNEL_OPTIONS)
    server.add_generic_rpc_handlers((streams(serve),))
    node = Dialled("edge", f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}")
    server.start()
    try:
        yield node
    finally:
        node.close()
        server.stop(0).wait()


def echo(stream: Stream) -> None:
    for received in stream:
        if received.header.WhichOneof("body") == "padding":
            stream.answer_padding(received)
        else:
            stream.send(of_frame(received.header.frame.frame), received.tensors())


@pytest.mark.parametrize(
    ("role", "token", "says"),
    [
        ("ue", "word", None),
        ("edge", "word", "PERMISSION_DENIED"),
        ("ue", "other", "UNAUTHENTICATED"),
    ],
)
def test_a_stream_bears_certificate_and_token(
    role: str, token: str, says: str | None, tmp_path: Path
) -> None:
    authority = issue_authority()
    serving, dialling = (certified(tmp_path, one, authority) for one in ("edge", role))
    door = Door(Guard(frozenset({"ue"}), "word"), Slots(2, 2))
    server = grpc.server(Inline(), interceptors=[door], options=CHANNEL_OPTIONS)
    server.add_generic_rpc_handlers((streams(echo),))
    port = server.add_secure_port("127.0.0.1:0", server_credentials(serving))
    node = Dialled("edge", f"127.0.0.1:{port}", dialling, token)
    server.start()
    expected = pytest.raises(NodeError, match=says) if says else nullcontext()
    with expected, node.stream() as stream:
        stream.send(of_frame(1), FRAME)
        assert np.array_equal(stream.receive_frame(1).tensors()["x"], FRAME["x"])
    node.close()
    server.stop(0).wait()


@pytest.mark.parametrize("rate_mbit", [None, 5.0, math.inf])
def test_frames_go_there_and_back_one_after_another(rate_mbit: float | None) -> None:
    with dialled(echo) as node:
        for number, tensors in enumerate([FRAME, LARGE, FRAME]):
            with node.stream() as stream:
                stream.rate_mbit = rate_mbit
                stream.send(of_frame(number), tensors)
                came = stream.receive_frame(number).tensors()
                stream.warm(100_000)
            assert np.array_equal(came["x"], tensors["x"])


def test_an_encoding_that_fails_on_the_way_is_told_and_the_next_stream_is_whole() -> None:
    coded = TensorInfo("x", "UINT8", (-1,))
    ended: list[str] = []

    def failing() -> Iterator[Piece]:
        yield Piece(coded, np.zeros(100_000, np.uint8), last=False)
        raise NodeError("zstd cannot encode x")

    def serve(stream: Stream) -> None:
        try:
            for received in stream:
                stream.send(of_frame(received.header.frame.frame), received.tensors([coded]))
        except NodeError as error:
            ended.append(str(error))
            raise

    with dialled(serve) as node:
        with pytest.raises(NodeError, match="zstd cannot encode x"), node.stream() as stream:
            stream.send_pieces(of_frame(1), [coded], failing())
        assert stream.torn
        with pytest.raises(NodeError, match="nothing can follow what was half sent"):
            stream.send(of_frame(2), FRAME)
        with node.stream() as stream:
            whole = [Piece(coded, np.ones(100_000, np.uint8), last=True)]
            stream.send_pieces(of_frame(3), [coded], whole)
            assert stream.receive_frame(3).tensors()["x"].sum() == 100_000
        until(lambda: bool(ended))
    assert "hung up" in ended[0]


def test_the_dialled_node_sends_first_and_from_any_thread() -> None:
    def serve(stream: Stream) -> None:
        sending = threading.Thread(target=stream.send, args=(of_frame(1), LARGE))
        sending.start()
        sending.join()
        assert stream.receive("report").header.report.max_abs_diff == 2

    with dialled(serve) as node, node.stream() as stream:
        came = stream.receive_frame(1).tensors()
        stream.send(Header(report=Report(max_abs_diff=2)))
        assert np.array_equal(came["x"], LARGE["x"])
        assert next(stream, None) is None  # the end, without an error


@contextmanager
def behind_a_door(slots: Slots, serve: Callable[[Stream], None]) -> Iterator[tuple[Door, str]]:
    door = Door(Guard(None, None), slots)
    server = grpc.server(Inline(), interceptors=[door], options=CHANNEL_OPTIONS)
    server.add_generic_rpc_handlers((streams(serve),))
    address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        yield door, address
    finally:
        server.stop(0).wait()


def test_who_asks_for_padding_and_takes_none_is_ended() -> None:
    with behind_a_door(places := Slots(2, 2, patience_s=0.2), echo) as (door, address):
        greedy = Dialled("edge", address)
        with greedy.stream() as stream:
            stream._put(padding(0, 1 << 30))
            until(lambda: any(one.stuck(0.2) for one in [*places._calls]))
            door.end_silent()
            until(lambda: not places._calls)
        greedy.close()


def test_who_takes_nothing_is_in_nobodys_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slots, "PATIENCE_S", 0.2)
    with behind_a_door(places := Slots(1, 1), echo) as (_, address):
        greedy, honest = Dialled("edge", address), Dialled("edge", address)
        with greedy.stream() as stream:
            stream._put(padding(0, 1 << 30))
            until(lambda: any(one.stuck(0.2) for one in [*places._calls]))
            with honest.stream() as other:
                other.send(of_frame(1), FRAME)
                assert other.receive_frame(1).tensors()
        honest.close()
        greedy.close()


def test_a_stream_is_let_go_whose_peer_does_not_take_what_is_sent() -> None:
    opened: list[Stream] = []
    told: list[str] = []

    def serve(stream: Stream) -> None:
        opened.append(stream)
        stream.let_go()  # nothing is being sent: it stays
        try:
            for number in range(1000):
                stream.send(of_frame(number), LARGE)
        except NodeError as error:
            told.append(str(error))

    with behind_a_door(places := Slots(1, 1), serve) as (_, address):
        node = Dialled("edge", address)
        with node.stream() as stream:
            stream.send(of_frame(1))
            until(lambda: any(one.stuck(0.2) for one in [*places._calls]))
            opened[0].let_go()
            until(lambda: told)
        node.close()
    assert "hung up" in told[0]


def test_a_peer_that_hangs_up_is_told_to_who_waits_and_to_who_sends() -> None:
    told: list[str] = []
    came, done = threading.Event(), threading.Event()

    def serve(stream: Stream) -> None:
        stream.receive_frame(1).tensors()
        came.set()
        try:
            stream.receive("report")
        except NodeError as error:
            told.append(str(error))
        with suppress(NodeError):
            stream.send(of_frame(2), FRAME)
            told.append("sent")
        done.set()

    with dialled(serve) as node:
        with node.stream() as stream:
            stream.send(of_frame(1), FRAME)
        assert came.wait(5)
        node.cancel()
        assert done.wait(5)
    (said,) = told
    assert re.search(r"the node at .* (hung up|ended the stream)", said)


def test_after_an_error_the_next_stream_is_a_new_one() -> None:
    def refuses_once(stream: Stream) -> None:
        for received in stream:
            received.tensors(RESULT)
            stream.send(of_frame(7), FRAME)

    with dialled(refuses_once) as node:
        with (
            pytest.raises(NodeError, match=r"FAILED_PRECONDITION: the peer sent y .*; expected x"),
            node.stream() as stream,
        ):
            stream.send(of_frame(7), {"y": np.ones(1, np.int8)})
            stream.receive_frame(7)
        with node.stream() as stream:
            stream.send(of_frame(7), FRAME)
            assert stream.receive_frame(7).tensors(RESULT)


def test_who_is_given_up_before_he_sends_leaves_a_shared_stream_to_others() -> None:
    with dialled(echo) as node, node.stream(shared=True) as stream:
        stream.send(of_frame(1), FRAME)
        with pytest.raises(NodeError, match="given up"), node.stream(shared=True) as other:
            assert other is stream
            raise NodeError("it was given up")
        assert stream.receive_frame(1).tensors()


Answer = Callable[[], Iterator[bytes]]


def answering(answer: Answer) -> Callable[[Stream], None]:
    def serve(stream: Stream) -> None:
        stream.receive_frame(1).tensors()
        stream._put(answer())

    return serve


def described(shape: list[int]) -> Iterator[bytes]:
    tensor = TensorHeader(name="x", datatype="FP32", shape=shape)
    return messages(Header(frame=FrameHeader(tensors=[tensor], frame=1)))


def no_header() -> Iterator[bytes]:
    yield bytes(3)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (lambda: messages(of_frame(2), FRAME), "sent frame 2, 1 was asked"),
        (lambda: described([-5]), "impossible shape"),
        (lambda: described([1 << 50]), "limit|expected"),
        (
            lambda: messages(of_frame(1), {"x": np.ones((2, 3), np.float32)}),
            r"sent x FP32\[2, 3\]; expected x FP32\[-1, 2\]",
        ),
        (lambda: messages(of_frame(1), {"y": np.ones((2, 2))}), "sent y .* expected x"),
        (lambda: messages(Header(report=Report())), "sent report, not frame"),
        (lambda: messages(Header()), "sent None, not frame"),
        (lambda: messages(Header(ended=Ended(frame=1))), "said of frame 1 that it ended"),
        (lambda: described([2, 2]), "ended before the tensors did"),
        (no_header, "refused a message of 3 bytes"),
        (lambda: iter(()), "ended the stream"),
    ],
)
def test_a_wrong_answer_is_an_error_that_says_what_was_wrong(answer: Answer, says: str) -> None:
    with (
        dialled(answering(answer)) as node,
        pytest.raises(NodeError, match=says),
        node.stream() as stream,
    ):
        stream.send(of_frame(1), FRAME)
        stream.receive_frame(1).tensors(RESULT)


def test_a_node_that_is_not_there_is_an_error_not_a_wait() -> None:
    node = Dialled("edge", f"127.0.0.1:{free_port()}")
    with pytest.raises(NodeError, match=r"the edge at .* UNAVAILABLE"), node.stream() as stream:
        stream.send(of_frame(1), FRAME)
        stream.receive_frame(1)
    node.close()


def test_a_grpc_whose_inner_parts_have_changed_is_driven_by_its_public_calls(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(call, "DrivenCall", DrivenCall)
    monkeypatch.delattr("grpc._channel._SingleThreadedRendezvous")
    with dialled(echo) as node, node.stream() as stream:
        assert isinstance(open_call(node._channel, "/x/Y", ()), QueuedCall)
        stream.send(of_frame(1), FRAME)
        assert stream.receive_frame(1).tensors()
