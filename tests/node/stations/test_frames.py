"""What stations do with frames: no sockets, no gRPC, nodes that are objects."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from time import monotonic

import numpy as np
import pytest

from splitbed.codecs.releases import MOST_RELEASES
from splitbed.errors import NodeError
from splitbed.flow import Itinerary, Span, Station
from splitbed.graphs.formats import load_graph
from splitbed.graphs.parts import StoredModel, extract_part, store
from splitbed.messages import Received, messages
from splitbed.node.config import Limits
from splitbed.node.delivery import CutPart, span_message
from splitbed.node.model_info import info_of, model_message
from splitbed.node.parts.held import HeldParts
from splitbed.node.source.inputs import Source
from splitbed.node.stations import sending
from splitbed.node.stations.assignment import station_message
from splitbed.node.stations.frame import Frame
from splitbed.node.stations.frames import Frames
from splitbed.node.stations.queues import Queues
from splitbed.node.stations.references import References
from splitbed.node.stream import Stream
from splitbed.node.streams.window import LEAST_BYTES
from splitbed.tensors import Tensors
from splitbed.v1 import nodes_pb2
from splitbed.v1.tensors_pb2 import FrameHeader, Header, Release, Report, Stage
from splitbed.wire import max_abs_diff, nbytes, tensor_headers
from tests.node.loopback import LAYERS, small_model

NUMBER = 5

LIMITS = Limits()


@dataclass
class Hops:
    """What was sent, in order, and how it comes to the next node."""

    sent: list[bytes] = field(default_factory=list)

    def stream(self) -> Stream:
        return Stream("the node next door", iter(()), self.sent.extend)

    def received(self) -> Iterator[Received]:
        incoming = iter(self.sent)
        for first in incoming:
            yield Received(first, incoming)


@pytest.fixture(scope="module", name="stored")
def model_on_disk(tmp_path_factory: pytest.TempPathFactory) -> StoredModel:
    folder = tmp_path_factory.mktemp("model")
    return store(load_graph(small_model(folder / "small.onnx")), folder / "stored")


@dataclass
class Nodes:
    """A node for each name in an itinerary, its parts loaded, all assigned."""

    stored: StoredModel
    folder: Path
    itinerary: Itinerary
    hops: tuple[str, ...]
    frames: dict[str, Frames] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in dict.fromkeys(one.node for one in self.itinerary):
            (own := self.folder / name).mkdir(exist_ok=True)
            frames = Frames(
                HeldParts(name, 8),
                Source(own / "in", LIMITS),
                References(own / "ref", LIMITS),
                LIMITS,
            )
            self.load(name, frames.held)
            frames.assign(self.message(name))
            self.frames[name] = frames
        given = nodes_pb2.Input(random=nodes_pb2.RandomTensors(seed=1), name="noise")
        given.tensors.extend(tensor_headers(self.stored.graph.inputs))
        self.frames[self.itinerary[0].node].source.add(given)

    def load(self, name: str, held: HeldParts) -> None:
        info = info_of(self.stored.graph, "tensors", "onnx")
        spans = {one.span for one in self.itinerary if one.node == name and one.first < one.last}
        keep = nodes_pb2.SessionOptions(threads=1, keep=map(span_message, spans))
        for span in spans:
            part = extract_part(self.stored, *span[:3])
            held.load(CutPart(part, span, info), keep, 0)

    def message(self, name: str) -> nodes_pb2.Assignment:
        return nodes_pb2.Assignment(
            number=NUMBER,
            node=name,
            stations=map(station_message, self.itinerary),
            hops=[nodes_pb2.Hop(name=hop) for hop in self.hops],
            clients=True,
            model=model_message(info_of(self.stored.graph, "tensors", "onnx")),
        )

    def run(self, number: int = 1) -> Frame:
        """A frame through all of them, as it is where its result is wanted."""
        first = self.frames[self.itinerary[0].node]
        frame = first.begin(nodes_pb2.FrameRequest(frame=number, assignment=NUMBER))
        first.work(frame)
        while frame.hop is not None:
            hop = Hops()
            sending.send(frame, hop.stream())
            receiver = self.frames[frame.to]
            came, report = hop.received()
            frame = receiver.came(came, partial(getattr, report.header, "report"))
            receiver.work(frame)
        return frame

    def whole(self) -> Tensors:
        """What the model makes of the input at once."""
        held = HeldParts("whole", 8)
        n = self.stored.graph.n
        info = info_of(self.stored.graph, "tensors", "onnx")
        cut = CutPart(extract_part(self.stored, 0, n), Span(0, n), info)
        held.load(cut, nodes_pb2.SessionOptions(threads=1), 0)
        return held.of(Span(0, n)).run(self.frames[self.itinerary[0].node].source.tensors(0))


UPLINK = (
    Station("ue", 0, 2, source=True, gives="raw", part=1),
    Station("edge", 2, LAYERS, result=True, gives="raw", part=2),
    Station("ue", LAYERS, LAYERS),
)
FLOWS: dict[str, tuple[Itinerary, tuple[str, ...]]] = {
    "device anchor": ((Station("ue", 0, LAYERS, source=True, result=True, part=1),), ()),
    "uplink": (UPLINK, ("uplink", "downlink")),
    "uplink, network anchor": (
        (
            Station("ue", source=True, gives="raw", part=1),
            Station("edge", 0, LAYERS, result=True, gives="raw", part=2),
            Station("ue", LAYERS, LAYERS),
        ),
        ("uplink", "downlink"),
    ),
    "downlink": (
        (
            Station("ue", source=True, gives="raw"),
            Station("edge", 0, 3, gives="zstd", part=1),
            Station("ue", 3, LAYERS, result=True, part=2),
        ),
        ("uplink", "downlink"),
    ),
    "remote-source": (
        (
            Station("edge", 0, 4, source=True, gives="fp16", part=1),
            Station("ue", 4, LAYERS, result=True, part=2),
        ),
        ("downlink",),
    ),
    "chain": (
        (
            Station("ue", 0, 2, source=True, gives="raw", part=1),
            Station("edge", 2, 4, gives="raw", part=2),
            Station("cloud", 4, LAYERS, result=True, gives="raw", part=3),
            Station("edge", LAYERS, LAYERS, gives="raw"),
            Station("ue", LAYERS, LAYERS),
        ),
        ("uplink", "uplink2", "downlink2", "downlink"),
    ),
    "call": (
        (
            Station("ue-a", source=True, gives="raw"),
            Station("network", 0, LAYERS, gives="raw", part=1),
            Station("ue-b", LAYERS, LAYERS, result=True),
        ),
        ("uplink", "downlink2"),
    ),
    "call, device anchor": (
        (
            Station("ue-a", source=True, gives="fp16"),
            Station("network", gives="fp16", part=1),
            Station("ue-b", 0, LAYERS, result=True, part=2),
        ),
        ("uplink", "downlink2"),
    ),
}
STAGES = {
    "device anchor": ["preprocess", "part1", "result"],
    "uplink": ["preprocess", "part1", "encode", "uplink", "decode", "part2", "result", "downlink"],
    "downlink": [
        *("preprocess", "encode", "uplink", "decode", "part1", "encode"),
        *("downlink", "decode", "part2", "result"),
    ],
    "remote-source": ["preprocess", "part1", "encode", "downlink", "decode", "part2", "result"],
    "chain": [
        *("preprocess", "part1", "encode", "uplink", "decode", "part2", "encode"),
        *("uplink2", "decode", "part3", "result", "downlink2", "downlink"),
    ],
    "call": [
        *("preprocess", "encode", "uplink", "decode", "part1", "encode"),
        *("downlink2", "decode", "result"),
    ],
    "call, device anchor": [  # what the network hands on is as it came
        *("preprocess", "encode", "uplink", "part1", "downlink2", "decode", "part2", "result"),
    ],
}


@pytest.mark.parametrize("name", FLOWS)
def test_every_flow_gives_what_the_whole_model_gives(
    name: str, stored: StoredModel, tmp_path: Path
) -> None:
    nodes = Nodes(stored, tmp_path, *FLOWS[name])
    frame = nodes.run()
    lossy = any(one.gives == "fp16" for one in nodes.itinerary)
    close = 1e-2 if lossy else 1e-6
    assert max_abs_diff(frame.tensors, nodes.whole()) < close


@pytest.mark.parametrize("name", STAGES)
def test_a_frame_carries_the_stages_of_its_flow_and_who_did_them(
    name: str, stored: StoredModel, tmp_path: Path
) -> None:
    nodes = Nodes(stored, tmp_path, *FLOWS[name])
    stages = nodes.run().stages
    assert [one.name for one in stages] == STAGES[name]
    assert all(one.start_ns <= one.end_ns for one in stages)
    doing = [one.node for one in stages if "link" not in one.name]
    assert [*dict.fromkeys(doing)] == [
        *dict.fromkeys(one.node for one in nodes.itinerary if one.source or one.part or one.result)
    ]


@pytest.mark.parametrize(
    ("name", "crossed", "encoded"),
    [
        ("device anchor", 0, 0),
        ("uplink", 8 * 16 * 16 * 4, 8 * 16 * 16 * 4),
        ("remote-source", 8 * 16 * 16 * 4, 8 * 16 * 16 * 2),
        ("chain", 8 * 16 * 16 * 4, 8 * 16 * 16 * 4),
        ("call", 8 * 4, 8 * 4),  # outputs, which cross as data do
        ("call, device anchor", 3 * 16 * 16 * 4, 3 * 16 * 16 * 2),
    ],
)
def test_a_record_tells_intermediate_data_from_media_and_results(
    name: str, crossed: int, encoded: int, stored: StoredModel, tmp_path: Path
) -> None:
    record = Nodes(stored, tmp_path, *FLOWS[name]).run().record()
    assert (record.intermediate_bytes, record.encoded_bytes) == (crossed, encoded)
    assert record.result_bytes == 8 * 4
    assert dict(record.results) == {"scores": 1}


@pytest.mark.parametrize("name", ["uplink", "downlink", "chain"])
def test_outputs_are_compared_where_they_become_results(
    name: str, stored: StoredModel, tmp_path: Path
) -> None:
    nodes = Nodes(stored, tmp_path, *FLOWS[name])
    at = next(one.node for one in nodes.itinerary if one.result)
    nodes.frames[at].references.keep(0, {"scores": nodes.whole()["scores"] + 1})
    assert nodes.run().record().max_abs_diff == pytest.approx(1)


def test_a_frame_that_was_there_before_or_comes_too_late_is_refused(
    stored: StoredModel, tmp_path: Path
) -> None:
    nodes = Nodes(stored, tmp_path, *FLOWS["uplink"])
    nodes.run(4)
    for number in (3, 4):
        with pytest.raises(NodeError, match=f"refused frame {number} of assignment 5: frame 4"):
            nodes.run(number)
    nodes.run(9)


def test_a_frame_beyond_the_last_number_is_refused_whoever_gives_it_one(
    stored: StoredModel, tmp_path: Path
) -> None:
    nodes, last = Nodes(stored, tmp_path, *FLOWS["uplink"]), (1 << 63) - 1
    nodes.run(last)
    ue, said = nodes.frames["ue"], f"numbers end at {last}; assign it anew"
    assert ue.served is not None
    with pytest.raises(NodeError, match=said):
        nodes.run(last + 1)
    with pytest.raises(NodeError, match=said):
        ue.given(ue.served, {})


@pytest.mark.parametrize("count", [0, 1000])
def test_a_report_of_no_stage_or_of_too_many_is_refused(
    count: int, stored: StoredModel, tmp_path: Path
) -> None:
    nodes = Nodes(stored, tmp_path, *FLOWS["uplink"])
    told = partial(Report, stages=[Stage(name="x")] * count)
    frame = nodes.frames["edge"].came(arrived(), told)
    with pytest.raises(NodeError, match=f"went through {count} stages"):
        frame.record()


def test_a_report_of_a_hop_that_waited_for_too_many_pieces_is_refused(
    stored: StoredModel, tmp_path: Path
) -> None:
    nodes = Nodes(stored, tmp_path, *FLOWS["uplink"])

    def told(count: int) -> Frame:
        stages = [Stage(name="encode"), Stage(name="uplink", releases=[Release(ns=1)] * count)]
        return nodes.frames["edge"].came(arrived(frame=count), partial(Report, stages=stages))

    assert told(MOST_RELEASES).before
    refused = told(MOST_RELEASES + 1)
    with pytest.raises(NodeError, match=f"waited for {MOST_RELEASES + 1} pieces on a hop"):
        refused.record()


def test_a_frame_that_one_way_cannot_take_takes_no_room_on_another(
    stored: StoredModel, tmp_path: Path
) -> None:
    ue = Nodes(stored, tmp_path, *FLOWS["uplink"]).frames["ue"]
    free, gone, size = Hops().stream(), Hops().stream(), 10 * LEAST_BYTES
    gone.window.add((0, 0), size, 1e6, monotonic())
    gone.window.add((0, 1), size, 1e6, monotonic())
    for number in range(3):
        frame = ue.begin(nodes_pb2.FrameRequest(frame=10 * number, assignment=NUMBER))
        hops = tuple(replace(hop, rate_mbit=1e6) for hop in frame.assignment.hops)
        way = replace(frame.assignment, queues=Queues(in_flight=4, most=4), hops=hops)
        frame.tensors = {"b": np.zeros(size, np.uint8)}
        with pytest.raises(NodeError, match="ended the stream"):
            sending.await_links(frame, [(way, free), (way, gone)])
    assert free.window.enter((0, 0), size, 1e6, 0.0, monotonic())


def test_a_frame_says_what_was_done_with_it_once_it_is_on_its_way(
    stored: StoredModel, tmp_path: Path
) -> None:
    nodes, hop = Nodes(stored, tmp_path, *FLOWS["uplink"]), Hops()
    ue = nodes.frames["ue"]
    ue.work(frame := ue.begin(nodes_pb2.FrameRequest(frame=1, assignment=NUMBER)))
    sending.send_data(frame, hop.stream())
    assert sum(map(len, hop.sent)) < nbytes(frame.tensors) + 64
    sending.report(frame, hop.stream())
    _, report = hop.received()
    names = [one.name for one in report.header.report.stages]
    assert names == ["preprocess", "part1", "encode", "uplink"]


def came(nodes: Nodes, node: str, **header: int) -> Frame:
    return nodes.frames[node].came(arrived(**header), Report)


def arrived(**header: int) -> Received:
    tensors: Tensors = {"b": np.zeros((1, 8, 16, 16), np.float32)}
    said = FrameHeader(frame=1, assignment=NUMBER, at=1)
    for name, value in header.items():
        setattr(said, name, value)
    sent = iter([*messages(Header(frame=said), tensors)])
    return Received(next(sent), sent)


@pytest.mark.parametrize(
    ("header", "says"),
    [
        ({"assignment": 6}, "no assignment 6 holds here, only 5"),
        ({"at": 0}, "begins there"),
        ({"at": 2}, "has no station 2 on edge, only 1"),
        ({"at": 77}, "has no station 77 on edge"),
    ],
)
def test_a_frame_for_what_is_not_there_is_refused(
    header: dict[str, int], says: str, stored: StoredModel, tmp_path: Path
) -> None:
    nodes = Nodes(stored, tmp_path, *FLOWS["uplink"])
    came(nodes, "edge")
    with pytest.raises(NodeError, match=says):
        came(nodes, "edge", frame=2, **header)


def test_a_frame_after_the_end_of_its_assignment_is_refused(
    stored: StoredModel, tmp_path: Path
) -> None:
    nodes = Nodes(stored, tmp_path, *FLOWS["uplink"])
    (other := nodes.message("edge")).number = 6
    nodes.frames["edge"].assign(other)
    with pytest.raises(NodeError, match="no assignment 5 holds here, only 6"):
        came(nodes, "edge")


def refused(nodes: Nodes, says: str, **changed: object) -> None:
    message = nodes.message("edge")
    for name, value in changed.items():
        if name == "hops":
            del message.hops[:]
        elif name == "node":
            message.node = str(value)
        else:
            setattr(message.stations[1], name, value)
    with pytest.raises(NodeError, match=says):
        nodes.frames["edge"].assign(message)


@pytest.mark.parametrize("rate_mbit", [-1.0, float("inf"), float("nan")])
def test_a_rate_that_no_link_has_is_refused(
    stored: StoredModel, tmp_path: Path, rate_mbit: float
) -> None:
    nodes = Nodes(stored, tmp_path, *FLOWS["uplink"])
    message = nodes.message("edge")
    message.hops[0].rate_mbit = rate_mbit
    with pytest.raises(NodeError, match=f"no link has a rate of {rate_mbit} Mbit/s"):
        nodes.frames["edge"].assign(message)


def test_an_assignment_that_cannot_be_is_refused_by_what_is_wrong(
    stored: StoredModel, tmp_path: Path
) -> None:
    nodes = Nodes(stored, tmp_path, *FLOWS["uplink"])
    refused(nodes, "a hop between each two", hops=[])
    refused(nodes, "no station on cloud", node="cloud")
    refused(nodes, "the source is the first station", source=True)
    refused(nodes, "number beyond", part=99)
    message = nodes.message("edge")
    message.stations[1].span.first = 3
    with pytest.raises(NodeError, match="the layers 3 to 6 after 2 were run"):
        nodes.frames["edge"].assign(message)
    message = nodes.message("edge")  # an idle station, after layers that nobody ran
    message.stations[0].span.first = message.stations[0].span.last = 2
    with pytest.raises(NodeError, match="the layers 2 to 2 after 0 were run"):
        nodes.frames["edge"].assign(message)
    message = nodes.message("edge")
    message.stations[1].span.last = 7
    with pytest.raises(NodeError, match="stops after layer 7 of 6"):
        nodes.frames["edge"].assign(message)
    message = nodes.message("edge")
    message.stations[0].gives = "zsdt"
    with pytest.raises(NodeError, match="edge cannot use zsdt"):
        nodes.frames["edge"].assign(message)
    message.stations[0].gives = "nnc"
    with pytest.raises(NodeError, match="edge cannot use nnc: its decoder is no match"):
        nodes.frames["edge"].assign(message)
    message = nodes.message("edge")
    message.hops[0].name = "sidelink"
    with pytest.raises(NodeError, match="no hop is called 'sidelink'"):
        nodes.frames["edge"].assign(message)


def test_a_head_that_the_model_does_not_have_or_that_makes_no_result_is_refused(
    stored: StoredModel, tmp_path: Path
) -> None:
    nodes = Nodes(stored, tmp_path, *FLOWS["uplink"])
    for place, outputs, says in (
        (0, [3], "a head's outputs become results"),
        (1, [3], "of 1 outputs has no head"),
        (1, [0, 0], "each is named once"),
    ):
        message = nodes.message("edge")
        message.stations[place].span.outputs.extend(outputs)
        with pytest.raises(NodeError, match=says):
            nodes.frames["edge"].assign(message)


def test_ways_of_a_frame_that_begin_with_other_work_or_twice_are_refused(
    stored: StoredModel, tmp_path: Path
) -> None:
    nodes = Nodes(stored, tmp_path, *FLOWS["uplink"])
    ue, other = nodes.frames["ue"], nodes.message("ue")
    other.number, other.stations[0].gives = NUMBER + 1, "fp16"
    other.keep.append(NUMBER)
    ue.assign(other)
    for others, says in (([NUMBER + 1], "do not begin with the same"), ([NUMBER], "was here")):
        request = nodes_pb2.FrameRequest(frame=1, assignment=NUMBER, others=others)
        with pytest.raises(NodeError, match=says):
            ue.begin(request)


def test_an_assignment_without_its_part_is_refused_with_what_is_held(
    stored: StoredModel, tmp_path: Path
) -> None:
    nodes = Nodes(stored, tmp_path, *FLOWS["uplink"])
    message = nodes.message("edge")
    message.stations[0].span.last = message.stations[1].span.first = 3
    with pytest.raises(NodeError, match="holds no part of the layers 3-6, only 2-6: load it"):
        nodes.frames["edge"].assign(message)
