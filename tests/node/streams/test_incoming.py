"""What comes on a stream is found by who waits for it, whoever reads."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from queue import Queue

import numpy as np
import pytest

from splitbed.errors import FrameDropped, NodeError
from splitbed.messages import messages
from splitbed.node.stream import lost
from splitbed.node.streams.incoming import Incoming, Key
from splitbed.tensors import Tensors
from splitbed.v1.tensors_pb2 import Arrived, Dropped, Failure, FrameHeader, Header, Report, Stage
from tests.shared_machine import until

ARRIVED = Key("arrived")


class Peer:
    """Sends what it is told to, one message after another."""

    def __init__(self) -> None:
        self.sent = Queue[bytes | None]()
        self.arrived: list[tuple[int, int]] = []
        self.incoming = Incoming("the peer", self._messages(), self._arrive)

    def send(self, header: Header, size: int = 0) -> None:
        tensors: Tensors | None = {"x": np.zeros(size, np.float32)} if size else None
        for message in messages(header, tensors):
            self.sent.put(message)

    def _messages(self) -> Iterator[bytes]:
        yield from iter(self.sent.get, None)

    def _arrive(self, assignment: int, frame: int) -> None:
        self.arrived.append((assignment, frame))


def frame(number: int) -> Header:
    return Header(frame=FrameHeader(frame=number, assignment=1, at=2))


def test_frames_and_what_is_said_of_them_come_to_their_owners_in_whichever_order_they_wait() -> (
    None
):
    peer = Peer()
    for number in (1, 2):
        peer.incoming.expect(Key("frame", number, 1))

    def owner(number: int) -> float:
        received = peer.incoming.find(Key("frame", number, 1))
        assert received.header.frame.frame == number
        assert received.tensors()["x"].size == 50_000 * number
        return peer.incoming.find(Key("report", number, 1, 2)).header.report.max_abs_diff

    with ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(owner, number) for number in (2, 1)]
        until(lambda: peer.incoming._waiting)
        for number in (1, 2):
            peer.send(frame(number), 50_000 * number)
        for number in (2, 1):
            report = Report(max_abs_diff=number, frame=number, assignment=1, at=2)
            peer.send(Header(report=report))
        assert [one.result(5) for one in waiting] == [2, 1]
    assert not peer.incoming._found


@pytest.mark.parametrize(
    "header",
    [
        Header(arrived=Arrived(frame=1, assignment=1)),
        Header(dropped=Dropped(frame=1, assignment=1)),
        Header(failure=Failure(frame=1, assignment=1)),
    ],
)
def test_whatever_becomes_of_a_frame_who_waits_for_room_on_the_link_looks_again(
    header: Header,
) -> None:
    peer = Peer()
    peer.incoming.expect(Key("frame", 1, 1))
    with ThreadPoolExecutor(2) as pool:
        awaits = pool.submit(peer.incoming.find, Key("frame", 1, 1))
        until(lambda: peer.incoming._reads)
        sends = pool.submit(peer.incoming.find, ARRIVED)
        until(lambda: peer.incoming._waiting)
        peer.send(header)
        sends.result(5)
        assert peer.arrived == [(1, 1)]
        peer.sent.put(None)
        if header.WhichOneof("body") == "arrived":
            with pytest.raises(StopIteration):
                awaits.result(5)
        else:
            assert isinstance(lost("the peer", awaits.result(5)), NodeError)


def test_what_nobody_waits_for_ends_the_stream_for_all_with_the_reason() -> None:
    peer = Peer()
    peer.incoming.expect(Key("frame", 1, 1))
    with ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(peer.incoming.find, Key("frame", 1, 1)) for _ in range(2)]
        until(lambda: peer.incoming._waiting)
        peer.send(frame(7), 10)
        for one in waiting:
            with pytest.raises(NodeError, match="the peer sent frame 7, 1 was asked"):
                one.result(5)


def test_a_report_that_is_too_large_is_refused_before_it_is_kept() -> None:
    peer = Peer()
    stages = [Stage(name="x" * 1000)] * 100
    peer.send(Header(report=Report(stages=stages, frame=1)))
    with pytest.raises(NodeError, match="refused a report of"):
        peer.incoming.find(Key("report", 1))


def test_a_name_that_a_peer_gives_is_no_longer_than_names_are() -> None:
    peer = Peer()
    peer.incoming.expect(Key("frame", 1, 1))
    peer.send(Header(dropped=Dropped(frame=1, assignment=1, node="x" * 1000)))
    error = lost("the peer", peer.incoming.find(Key("frame", 1, 1)))
    assert isinstance(error, FrameDropped)
    assert error.node == "x" * 64
