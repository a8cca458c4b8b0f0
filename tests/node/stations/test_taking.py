"""Frames that end elsewhere than they began, several under way, taken where they end."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from splitbed.errors import FrameDropped, NodeError
from splitbed.graphs.parts import StoredModel
from splitbed.node.stations import sending
from splitbed.node.stations.frame import Frame
from splitbed.node.stations.taking import Taking
from splitbed.node.stream import Stream
from splitbed.v1 import nodes_pb2
from tests.node.stations.test_frames import NUMBER, model_on_disk
from tests.node.stations.test_passing import Network, network
from tests.shared_machine import until

__all__ = ["model_on_disk"]

Records = Iterator[nodes_pb2.FrameRecords]


@contextmanager
def call(stored: StoredModel, folder: Path) -> Iterator[tuple[Network, Records]]:
    """Nodes that have several frames of a call under way, and what is told where these end."""
    with network("call", stored, folder) as net:
        for node, frames in net.nodes.frames.items():
            message = net.nodes.message(node)
            message.queues.in_flight, message.queues.most = 4, 64
            frames.assign(message)
        taking = Taking(net.passing["ue-b"], nodes_pb2.TakeRequest(assignment=NUMBER))
        yield net, taking.records()
        taking.give_up()


def run(net: Network, number: int) -> None:
    """A frame, until its source has heard that it ended."""
    net.passing["ue-a"].run(nodes_pb2.FrameRequest(frame=number, assignment=NUMBER))


def test_all_that_their_source_has_heard_of_are_told_when_the_stream_breaks(
    stored: StoredModel, tmp_path: Path
) -> None:
    with call(stored, tmp_path) as (net, records), ThreadPoolExecutor(1) as pool:
        first = pool.submit(next, records)
        run(net, 1)
        told = [*first.result().records]
        for number in (2, 3):
            run(net, number)
        net.servers["network"].stop(0)
        until(lambda: "ue-b" not in net.passing["network"].neighbours._near)
        with pytest.raises(NodeError, match="the network"):
            for some in records:
                told += some.records
        assert [one.frame for one in told] == [1, 2, 3]


def test_a_frame_that_comes_back_and_was_to_end_elsewhere_is_refused_with_its_stream(
    stored: StoredModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def send_back(frame: Frame, stream: Stream) -> None:
        header = frame.header()
        header.frame.at = 1
        stream.send(header, frame.tensors)

    monkeypatch.setattr(sending, "say_ended", send_back)
    with call(stored, tmp_path) as (net, records), ThreadPoolExecutor(1) as pool:
        told = pool.submit(list, records)
        with pytest.raises(NodeError, match="sent frame 1, which was to end elsewhere") as refused:
            run(net, 1)
        assert not isinstance(refused.value, FrameDropped)
        with pytest.raises(NodeError, match=r"the network .*sent frame 1"):
            told.result()
