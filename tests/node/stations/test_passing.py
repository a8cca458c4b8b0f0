"""Frames that go from node to node over real gRPC: three of them, in this process."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import numpy as np
import pytest

from splitbed.errors import NodeError
from splitbed.graphs.parts import StoredModel
from splitbed.node.serve import InFlight
from splitbed.node.stations.passing import Passing
from splitbed.node.stream import Dialled, streams
from splitbed.security.access import server_credentials
from splitbed.security.authority import issue_authority
from splitbed.tensors import Tensors
from splitbed.v1 import nodes_pb2
from splitbed.v1.tensors_pb2 import Header, Hello
from splitbed.wire import CHANNEL_OPTIONS, max_abs_diff, tensors_of
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
            net.passing[near].far = {far: (dialled := Dialled(far, address))}
            stack.callback(dialled.close)
        for near, far in DIALS[name].items():
            net.passing[near].greet(far, near)
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
        net.passing["ue-b"].far["network"].close()
        until(lambda: "ue-b" not in net.passing["network"]._near)
        net.passing["ue-a"].run(nodes_pb2.FrameRequest(frame=1, assignment=NUMBER))
        dialled = net.passing["ue-a"].far["network"]
        with (
            pytest.raises(NodeError, match="no way from network to ue-b"),
            dialled.stream() as stream,
        ):
            stream.receive("frame")


def test_a_node_whose_name_is_no_name_is_not_known(stored: StoredModel, tmp_path: Path) -> None:
    with network("call", stored, tmp_path) as net:
        dialled = net.passing["ue-a"].far["network"]
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
    passing["ue-b"].far = {"network": dialled}
    refused = pytest.raises(NodeError, match=f"it calls itself {name}, its certificate ue-b")
    with nullcontext() if name == "ue-b" else refused:
        passing["ue-b"].greet("network", name)
    dialled.close()
    server.stop(0).wait()
