"""Frames that go from node to node over real gRPC: three of them, in this process."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from splitbed.codecs.coder import Coder
from splitbed.errors import NodeError
from splitbed.flow import Station
from splitbed.graphs.parts import StoredModel
from splitbed.node.serve import InFlight
from splitbed.node.stations.passing import Passing
from splitbed.node.stream import Stream
from splitbed.node.streams.connection import Dialled, streams
from splitbed.security.access import server_credentials
from splitbed.security.authority import issue_authority
from splitbed.tensors import Tensors
from splitbed.v1 import nodes_pb2
from splitbed.v1.tensors_pb2 import Header, Hello
from splitbed.wire import CHANNEL_OPTIONS, max_abs_diff, tensors_of
from tests.node.loopback import LAYERS
from tests.node.stations.test_frames import FLOWS, NUMBER, Nodes, model_on_disk
from tests.security.certified import certified
from tests.shared_machine import until

__all__ = ["model_on_disk"]

DIALS = {"chain": {"ue": "edge", "edge": "cloud"}, "call": {"ue-a": "network", "ue-b": "network"}}


@dataclass
class Network:
    """Nodes that listen where others dial them, all assigned."""

    nodes: Nodes
    passing: dict[str, Passing] = field(default_factory=dict)
    servers: dict[str, grpc.Server] = field(default_factory=dict)

    def run(self, number: int) -> nodes_pb2.FrameRecord:
        """A frame, awaited where its result is wanted."""
        ends = self.nodes.itinerary[0].node, self.nodes.itinerary[-1].node
        request = nodes_pb2.FrameRequest(frame=number, assignment=NUMBER)
        if ends[0] == ends[1]:
            return self.passing[ends[0]].run(request)
        with ThreadPoolExecutor(1) as pool:
            asked = nodes_pb2.AwaitRequest(frame=number, assignment=NUMBER)
            waiting = pool.submit(self.passing[ends[1]].wait, asked)
            with suppress(NodeError):  # it may be told before it has sent all of it
                self.passing[ends[0]].run(request)
            return waiting.result()


@contextmanager
def network(name: str, stored: StoredModel, folder: Path) -> Iterator[Network]:
    with ExitStack() as stack:
        net = Network(Nodes(stored, folder, *FLOWS[name]))
        for one in net.nodes.frames:
            net.passing[one] = Passing(net.nodes.frames[one], InFlight())
        for near, far in DIALS[name].items():
            if far not in net.servers:
                server = grpc.server(ThreadPoolExecutor(8), options=CHANNEL_OPTIONS)
                server.add_generic_rpc_handlers((streams(net.passing[far].serve),))
                port = server.add_insecure_port("127.0.0.1:0")
                server.start()
                net.servers[far] = server
                stack.callback(server.stop, 0)
                address = f"127.0.0.1:{port}"
            net.passing[near].neighbours.far = {far: (dialled := Dialled(far, address))}
            stack.callback(dialled.close)
        for near, far in DIALS[name].items():
            net.passing[near].neighbours.greet(far, near)
        yield net


@pytest.mark.parametrize("name", DIALS)
def test_frames_of_three_nodes_give_what_the_whole_model_gives(
    name: str, stored: StoredModel, tmp_path: Path
) -> None:
    with network(name, stored, tmp_path) as net:
        for number in range(1, 4):
            record = net.run(number)
            assert record.frame == number
            assert max_abs_diff(tensors_of(record.result), net.nodes.whole()) <= 1e-6


def test_the_cloud_of_a_chain_compares_and_the_ue_is_told(
    stored: StoredModel, tmp_path: Path
) -> None:
    with network("chain", stored, tmp_path) as net:
        whole = net.nodes.whole()["scores"].astype(np.float32)
        outputs: Tensors = {"scores": whole + np.float32(2)}
        net.nodes.frames["cloud"].references.keep(0, outputs)
        assert net.run(1).max_abs_diff == pytest.approx(2)
        assert net.run(2).max_abs_diff == pytest.approx(2)


def test_a_cloud_that_is_gone_is_told_at_the_ue_with_the_reason(
    stored: StoredModel, tmp_path: Path
) -> None:
    with network("chain", stored, tmp_path) as net:
        net.run(1)
        net.servers["cloud"].stop(0).wait()
        with pytest.raises(NodeError, match=r"the edge at .* failed: .*the cloud at .* failed: UN"):
            net.run(2)


def test_who_waits_for_a_frame_that_failed_on_its_way_is_told_the_reason(
    stored: StoredModel, tmp_path: Path
) -> None:
    with network("call", stored, tmp_path) as net:
        net.run(1)
        net.nodes.frames["network"].held.drop()
        with pytest.raises(NodeError, match="failed: the network node holds no part of the layers"):
            net.run(2)


def test_a_frame_for_a_node_that_has_not_dialled_is_refused_by_name(
    stored: StoredModel, tmp_path: Path
) -> None:
    with network("call", stored, tmp_path) as net:
        net.passing["ue-b"].neighbours.far["network"].close()
        until(lambda: "ue-b" not in net.passing["network"].neighbours._near)
        dialled = net.passing["ue-a"].neighbours.far["network"]
        with pytest.raises(NodeError, match="no way from network to ue-b"):
            # it may be told before it has sent all of it
            net.passing["ue-a"].run(nodes_pb2.FrameRequest(frame=1, assignment=NUMBER))
            with dialled.stream() as stream:
                stream.receive("frame")


def test_a_node_whose_name_is_no_name_is_not_known(stored: StoredModel, tmp_path: Path) -> None:
    with network("call", stored, tmp_path) as net:
        dialled = net.passing["ue-a"].neighbours.far["network"]
        with pytest.raises(NodeError, match="refused to know x"), dialled.stream() as stream:
            stream.send(Header(hello=Hello(node="x" * 1000)))
            stream.receive("hello")


@pytest.mark.parametrize("name", ["ue-b", "ue-a"])
def test_a_node_that_dials_is_known_by_the_name_of_its_certificate_alone(
    name: str, stored: StoredModel, tmp_path: Path
) -> None:
    authority = issue_authority()
    network, own = (certified(tmp_path, one, authority) for one in ("network", "ue-b"))
    nodes = Nodes(stored, tmp_path, *FLOWS["call"])
    passing = {one: Passing(frames, InFlight()) for one, frames in nodes.frames.items()}
    server = grpc.server(ThreadPoolExecutor(2), options=CHANNEL_OPTIONS)
    server.add_generic_rpc_handlers((streams(passing["network"].serve),))
    port = server.add_secure_port("127.0.0.1:0", server_credentials(network))
    server.start()
    dialled = Dialled("network", f"127.0.0.1:{port}", own)
    passing["ue-b"].neighbours.far = {"network": dialled}
    refused = pytest.raises(NodeError, match=f"it calls itself {name}, its certificate ue-b")
    with nullcontext() if name == "ue-b" else refused:
        passing["ue-b"].neighbours.greet("network", name)
    dialled.close()
    server.stop(0).wait()


def test_frames_that_have_no_turns_are_at_a_station_one_after_another(
    stored: StoredModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here: list[int] = []
    together: list[int] = []
    plain = Coder.encode

    def encode(coder: Coder, tensors: Tensors) -> Tensors:  # it bears no other frame meanwhile
        here.append(1)
        together.append(len(here))
        time.sleep(0.02)
        here.pop()
        return plain(coder, tensors)

    with network("chain", stored, tmp_path) as net, ThreadPoolExecutor(4) as pool:
        monkeypatch.setattr(Coder, "encode", encode)
        (passing := net.passing["ue"]).neighbours.far = {}  # they come no further
        asked = [nodes_pb2.FrameRequest(frame=number, assignment=NUMBER) for number in range(1, 5)]
        for one in [pool.submit(passing.go, passing.enter(request)) for request in asked]:
            with pytest.raises(NodeError, match="no way from ue to edge"):
                one.result()
    assert together == [1] * 4


@dataclass
class FannedOut:
    """A node that runs all layers and sends results to two users; the second takes them slowly."""

    passing: Passing
    fails: str = ""
    happened: list[str] = field(default_factory=list)
    said: threading.Event = field(default_factory=threading.Event)

    def put(self, user: str, messages: Iterator[bytes]) -> None:
        if user == self.fails:
            raise NodeError(f"{user} hung up")
        if user == "ue-2" and not self.said.is_set():
            self.said.wait(0.2)  # until the first user is told what follows its frame
        self.happened += [f"{user}: {len([*messages])}"]

    def difference(self, *_: object) -> float:
        self.said.set()
        self.happened.append("compared")
        return 0.0

    def run(self) -> None:
        """A frame."""
        self.passing.run(nodes_pb2.FrameRequest(frame=1, assignment=NUMBER, others=[NUMBER + 1]))


@pytest.fixture
def fan(stored: StoredModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FannedOut:
    first = Station("edge", 0, LAYERS, source=True, result=True, part=1)
    way = first, Station("ue-1", LAYERS, LAYERS)
    nodes = Nodes(stored, tmp_path, way, ("downlink",))
    (other := nodes.message("edge")).number = NUMBER + 1
    other.stations[1].node, other.hops[0].name = "ue-2", "downlink2"
    other.keep.append(NUMBER)
    (frames := nodes.frames["edge"]).assign(other)
    frames.references.keep(0, nodes.whole())
    fan = FannedOut(Passing(frames, InFlight()))
    monkeypatch.setattr(frames.references, "difference", fan.difference)
    for user in ("ue-1", "ue-2"):
        fan.passing.neighbours._near[user] = Stream(user, iter(()), partial(fan.put, user))
    return fan


def test_outputs_are_compared_once_when_all_users_have_been_sent_theirs(fan: FannedOut) -> None:
    fan.run()
    sent, compared, reported = fan.happened[:2], fan.happened[2], fan.happened[3:]
    assert compared == "compared"
    assert sorted(one.partition(":")[0] for one in sent) == ["ue-1", "ue-2"]
    assert reported == ["ue-1: 1", "ue-2: 1"]


def test_a_frame_that_fails_on_one_way_is_sent_on_no_other_afterwards(fan: FannedOut) -> None:
    fan.fails = "ue-1"
    with pytest.raises(NodeError, match="ue-1 hung up"):
        fan.run()
    assert [one.partition(":")[0] for one in fan.happened] == ["ue-2"]


def test_who_gives_up_waits_for_no_user_that_does_not_take_his_frame(fan: FannedOut) -> None:
    let_go = threading.Event()
    fan.passing.neighbours._near["ue-1"] = Stream(
        "ue-1", iter(()), lambda _: None, let_go=let_go.set
    )
    fan.passing.cancel()
    assert let_go.is_set()


def test_who_gives_up_one_assignment_leaves_the_streams_of_others(fan: FannedOut) -> None:
    let_go: list[str] = []
    for user in ("ue-1", "ue-2"):
        put = partial(let_go.append, user)
        fan.passing.neighbours._near[user] = Stream(user, iter(()), lambda _: None, let_go=put)
    fan.passing.cancel(NUMBER + 1)
    assert let_go == ["ue-2"]


class Slow(dict[str, Stream]):
    """Whoever looks through it gives others time to change it."""

    def __init__(self) -> None:
        super().__init__()
        self.looked, self.changed = threading.Event(), threading.Event()

    def items(self) -> Any:
        for item in super().items():
            self.looked.set()
            self.changed.wait(0.2)
            yield item


def test_nodes_may_come_while_another_goes(fan: FannedOut) -> None:
    gone, came = (Stream(name, iter(()), lambda _: None) for name in ("ue-1", "ue-3"))
    fan.passing.neighbours._near = near = Slow()
    near["ue-1"] = gone
    with ThreadPoolExecutor(1) as pool:
        going = pool.submit(fan.passing.serve, gone)
        near.looked.wait(5)
        fan.passing.neighbours.answer_hello("ue-3", came)
        near.changed.set()
        going.result()
    assert near == {"ue-3": came}
