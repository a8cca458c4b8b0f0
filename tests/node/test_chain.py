"""A chain of three node processes: what no pair of nodes shows of the one in the middle."""

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest

from orchestrator.ask.sweep_config import sweep_config
from orchestrator.testbed.model import SweptModel, load_model
from orchestrator.testbed.node_process import NodeProcess, local_nodes
from orchestrator.testbed.scratch import scratch
from splitbed.flow import Itinerary, Station
from splitbed.graphs.parts import extract_part
from splitbed.node.delivery import CutPart, model_message, pack, span_message
from splitbed.v1 import nodes_pb2
from splitbed.v1 import nodes_pb2_grpc as rpc
from tests.node.loopback import FRAME_S, LAYERS, free_port, loopback_link, small_model

MAP_BYTES = 8 * 16 * 16 * 4
CHAIN: Itinerary = (
    Station("ue", 0, 2, source=True, gives="raw", part=1),
    Station("edge", 2, 3, gives="fp16", part=2),
    Station("cloud", 3, LAYERS, result=True, gives="raw", part=3),
    Station("edge", LAYERS, LAYERS, gives="raw"),
    Station("ue", LAYERS, LAYERS),
)
HOPS = ("uplink", "uplink2", "downlink2", "downlink")


@dataclass
class Chain:
    """Three nodes that hold their parts, and are assigned."""

    nodes: dict[str, NodeProcess]
    model: SweptModel

    def start(self) -> None:
        for node in (*self.nodes.values(),):
            node.start()
        for node in self.nodes.values():
            node.started()
        for one in CHAIN:
            if one.part:
                self.bring(one)
        (given,) = self.model.inputs
        list(rpc.StationsStub(self.nodes["ue"].channel).AddInput(given.message()))
        for name, node in self.nodes.items():
            rpc.StationsStub(node.channel).Assign(self.assignment(name))

    def bring(self, one: Station) -> None:
        part = extract_part(self.model.stored, *one.span)
        parcel = pack(CutPart(part, one.span, self.model.info), self.model.stored.folder)
        stub = rpc.PartsStub(self.nodes[one.node].channel)
        stub.Take(parcel.pieces())
        stub.Open(nodes_pb2.SessionOptions(threads=1))

    def assignment(self, name: str) -> nodes_pb2.Assignment:
        return nodes_pb2.Assignment(
            number=1,
            node=name,
            stations=[
                nodes_pb2.Station(
                    node=one.node,
                    span=span_message(one.span),
                    part=one.part,
                    source=one.source,
                    result=one.result,
                    gives=one.gives,
                )
                for one in CHAIN
            ],
            hops=[nodes_pb2.Hop(name=hop) for hop in HOPS],
            model=model_message(self.model.info),
        )

    def run(self, number: int) -> nodes_pb2.FrameRecord:
        request = nodes_pb2.FrameRequest(frame=number, assignment=1)
        return rpc.StationsStub(self.nodes["ue"].channel).RunFrame(request, timeout=FRAME_S)


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    folder: Path = tmp_path_factory.mktemp("chain")
    file = small_model(folder / "small.onnx")
    model = load_model(sweep_config({"model": str(file)}), folder / "stored")
    with scratch() as space:
        links = {
            ("ue", "edge"): loopback_link("127.0.0.1"),
            ("edge", "cloud"): loopback_link("127.0.0.2"),
        }
        made = Chain(local_nodes(links, space, free_port()), model)
        try:
            made.start()
            yield made
        finally:
            for node in made.nodes.values():
                node.stop()


def test_the_edge_passes_frames_on_and_their_results_back(chain: Chain) -> None:
    for number in range(1, 4):
        record = chain.run(number)
        assert record.frame == number
        assert dict(record.results) == {"scores": 1}
    stages = [(one.name, one.node) for one in record.stages]
    assert stages == [
        *(("preprocess", "ue"), ("part1", "ue"), ("encode", "ue"), ("uplink", "ue")),
        *(("decode", "edge"), ("part2", "edge"), ("encode", "edge"), ("uplink2", "edge")),
        *(("decode", "cloud"), ("part3", "cloud"), ("result", "cloud"), ("downlink2", "cloud")),
        ("downlink", "edge"),
    ]
    # two maps cross the second cut, as halves of their floats
    hops = {one.name: one.bytes for one in record.stages if one.bytes}
    assert hops == {
        "uplink": MAP_BYTES,
        "uplink2": 2 * MAP_BYTES // 2,
        "downlink2": 8 * 4,
        "downlink": 8 * 4,
    }
    assert record.intermediate_bytes == 3 * MAP_BYTES
    assert record.encoded_bytes == 2 * MAP_BYTES


def test_a_cloud_that_dies_is_told_at_the_ue_by_name(chain: Chain) -> None:
    cloud = chain.nodes["cloud"].process
    assert cloud is not None
    os.kill(cloud.pid, signal.SIGKILL)
    with pytest.raises(grpc.RpcError) as failed:
        chain.run(100)
    assert isinstance(failed.value, grpc.Call)
    assert failed.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert "the cloud at 127.0.0.2" in str(failed.value.details())
