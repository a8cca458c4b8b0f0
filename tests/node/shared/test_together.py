"""One edge, and UEs that share its part: over real gRPC, in this process."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from threading import Event, Thread
from typing import Any

import grpc
import onnx
import pytest

from splitbed.errors import NodeError
from splitbed.flow import Itinerary, Span, Station
from splitbed.graphs.formats import load_graph
from splitbed.graphs.parts import StoredModel, extract_part, store
from splitbed.node.calls.slots import Slots
from splitbed.node.config import Limits
from splitbed.node.delivery import CutPart
from splitbed.node.model_info import ModelInfo, info_of, model_message
from splitbed.node.parts.held import HeldParts
from splitbed.node.serve import InFlight
from splitbed.node.shared import work
from splitbed.node.source.inputs import Source
from splitbed.node.stations.assignment import station_message
from splitbed.node.stations.frames import Frames
from splitbed.node.stations.passing import Passing
from splitbed.node.stations.references import References
from splitbed.node.stream import Stream
from splitbed.node.streams.connection import Dialled
from splitbed.tensors import Tensors
from splitbed.v1 import nodes_pb2
from splitbed.v1.tensors_pb2 import FrameHeader, Header, Report, Stage
from splitbed.wire import max_abs_diff, tensor_headers, tensors_of
from splitbed.workers.wanted import WANTED
from tests.graphs.models import model, node
from tests.node.stations.test_frames import model_on_disk
from tests.node.test_stream import behind_a_door
from tests.shared_machine import HANG_S, until

__all__ = ["model_on_disk"]

LIMITS, CUT = Limits(), 2
LONG_MS = 5 * HANG_S * 1000
"""Until all are there, however busy the machine is; whoever waits for this waits in vain."""


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work, "MOST_WAIT_MS", LONG_MS)


@dataclass
class Crowd:
    """UEs that each dial the edge; each has an input of its own, and an assignment, its number."""

    stored: StoredModel
    folder: Path
    edge: Passing
    address: str
    ues: dict[int, Passing] = field(default_factory=dict)

    def itinerary(self, ue: int) -> Itinerary:
        n = self.stored.graph.n
        return (
            Station(f"ue-{ue}", 0, CUT, source=True, gives="raw", part=1),
            Station("edge", CUT, n, result=True, gives="raw", part=2),
            Station(f"ue-{ue}", n, n),
        )

    def come(self, ue: int, queues: nodes_pb2.Queues) -> None:
        """A UE is there, and told what to do with its frames, as the edge is."""
        passing = node_of(self.folder, f"ue-{ue}")
        passing.neighbours.far = {"edge": (edge := Dialled("edge", self.address))}
        # a connection of its own, as of a process of its own
        own = [*edge._options, ("grpc.use_local_subchannel_pool", 1)]
        edge._channel = grpc.insecure_channel(self.address, own)
        given = nodes_pb2.Input(random=nodes_pb2.RandomTensors(seed=ue), name="noise")
        given.tensors.extend(tensor_headers(self.stored.graph.inputs))
        passing.frames.source.add(given)
        self.load(passing, Span(0, CUT))
        self.ues[ue] = passing
        self.assign(ue, queues)
        passing.frames.assign(self.message(ue, f"ue-{ue}"))

    def load(self, passing: Passing, span: Span) -> None:
        cut = CutPart(extract_part(self.stored, *span[:3]), span, self.info)
        passing.frames.held.load(cut, nodes_pb2.SessionOptions(threads=1), 0)

    def assign(self, ue: int, queues: nodes_pb2.Queues) -> float | None:
        """How far the edge found its part off, where it runs frames together."""
        message = self.message(ue, "edge")
        message.queues.CopyFrom(queues)
        message.keep.extend(one for one in self.ues if one != ue)
        return self.edge.frames.assign(message).together_off

    def message(self, ue: int, name: str) -> nodes_pb2.Assignment:
        return nodes_pb2.Assignment(
            number=ue,
            node=name,
            stations=map(station_message, self.itinerary(ue)),
            hops=[nodes_pb2.Hop(name=hop) for hop in ("uplink", "downlink")],
            model=model_message(self.info),
        )

    @property
    def info(self) -> ModelInfo:
        return info_of(self.stored.graph, "tensors", "onnx")

    def run(self, ue: int, frames: Sequence[int]) -> list[nodes_pb2.FrameRecord]:
        """Frames of a UE, one after another."""
        asked = [nodes_pb2.FrameRequest(frame=number, assignment=ue) for number in frames]
        return [self.ues[ue].run(one) for one in asked]

    def whole(self, ue: int) -> Tensors:
        """What both parts make of its input, alone."""
        made = self.ues[ue].frames.held.of(Span(0, CUT)).run(self.ues[ue].frames.source.tensors(0))
        return self.edge.frames.held.of(Span(CUT, self.stored.graph.n)).run(made)


def node_of(folder: Path, name: str) -> Passing:
    (own := folder / name).mkdir()
    held = HeldParts(name, 8)
    ends = Source(own / "in", LIMITS), References(own / "ref", LIMITS)
    return Passing(Frames(held, *ends, LIMITS), InFlight())


@contextmanager
def crowd(stored: StoredModel, folder: Path, ues: int, **queues: Any) -> Iterator[Crowd]:
    with ExitStack() as stack:
        edge = node_of(folder, "edge")
        _, address = stack.enter_context(behind_a_door(Slots(16, 16), edge.serve))
        found = Crowd(stored, folder, edge, address)
        found.load(edge, Span(CUT, stored.graph.n))
        for ue in range(1, ues + 1):
            found.come(ue, nodes_pb2.Queues(in_flight=1, most=4, **{"workers": 1, **queues}))
            stack.callback(found.ues[ue].neighbours.far["edge"].close)
        yield found


def part2(record: nodes_pb2.FrameRecord) -> Stage:
    return next(one for one in record.stages if one.name == "part2")


def test_frames_of_several_ues_are_run_together_and_each_gets_its_own_result(
    stored: StoredModel, tmp_path: Path
) -> None:
    with (
        crowd(stored, tmp_path, 4, batch=4, batch_wait_ms=LONG_MS) as found,
        ThreadPoolExecutor(4) as pool,
    ):
        told = list(pool.map(lambda ue: found.run(ue, range(1, 6)), found.ues))
        for ue, records in zip(found.ues, told, strict=True):
            for record in records:
                assert max_abs_diff(tensors_of(record.result), found.whole(ue)) <= 1e-6
        ran = [[part2(record) for record in records] for records in told]
        assert {one.together for records in ran for one in records} == {4}
        first, *others = [[(one.start_ns, one.end_ns) for one in records] for records in ran]
        assert others == [first] * 3


def test_one_worker_runs_one_frame_at_a_time_whose_ever_it_is(
    stored: StoredModel, tmp_path: Path
) -> None:
    with crowd(stored, tmp_path, 4) as found, ThreadPoolExecutor(4) as pool:
        told = pool.map(lambda ue: found.run(ue, range(1, 11)), found.ues)
        ran = sorted((one.start_ns, one.end_ns) for records in told for one in map(part2, records))
        assert all(end_ns <= start_ns for (_, end_ns), (start_ns, _) in pairwise(ran))


def test_a_frame_whose_ue_has_gone_leaves_the_batch(stored: StoredModel, tmp_path: Path) -> None:
    with (
        crowd(stored, tmp_path, 3, batch=2, batch_wait_ms=LONG_MS) as found,
        ThreadPoolExecutor(3) as pool,
    ):
        lines = found.edge.frames.shared._line._lines
        gone = pool.submit(found.run, 1, [1])
        until(lambda: lines)
        found.ues[1].cancel()
        with pytest.raises(NodeError):
            gone.result()
        until(lambda: not lines)
        both = [pool.submit(found.run, ue, [1]) for ue in (2, 3)]
        assert {part2(one).together for ran in both for one in ran.result()} == {2}


def test_a_part_that_mixes_frames_is_refused_when_it_is_assigned(tmp_path: Path) -> None:
    nodes = [node("Relu", "x", "a"), node("Relu", "a", "b"), node("Softmax", "b", "y", axis=0)]
    onnx.save(model(nodes, {"x": (1, 4)}, {"y": (1, 4)}), path := tmp_path / "mixing.onnx")
    stored = store(load_graph(path), tmp_path / "stored")
    refused = r"cannot run the part of the layers 2-3 on up to 8 frames together: .* mixes them"
    with pytest.raises(NodeError, match=refused), crowd(stored, tmp_path, 1, batch=8):
        pass


def test_how_far_a_part_is_off_is_told_once_it_is_assigned(
    stored: StoredModel, tmp_path: Path
) -> None:
    with crowd(stored, tmp_path, 1) as found:
        assert found.assign(1, nodes_pb2.Queues(workers=1)) is None
        off = found.assign(1, nodes_pb2.Queues(workers=1, batch=2))
        assert off is not None
        assert 0 <= off <= 1e-5


@pytest.mark.parametrize(
    ("queues", "why"),
    [
        ({"batch": 10_000}, "256 frames are the most that are run together"),
        ({"workers": 1000}, "limits.streams allows 16"),
        ({"batch": 2, "batch_wait_ms": -1}, "refused to wait -1"),
        ({"batch": 2, "batch_wait_ms": float("nan")}, "refused to wait nan"),
    ],
)
def test_what_cannot_be_shared_is_refused(
    stored: StoredModel, tmp_path: Path, queues: dict[str, float], why: str
) -> None:
    with pytest.raises(NodeError, match=why), crowd(stored, tmp_path, 1, **queues):
        pass


def test_the_session_for_frames_together_is_one_of_those_that_may_be_open(
    stored: StoredModel, tmp_path: Path
) -> None:
    with crowd(stored, tmp_path, 1, batch=2) as found:
        held = found.edge.frames.held
        assert held._sessions._value == 8 - 2
        file = held.of(Span(CUT, stored.graph.n))._file
        assert file is not None
        assert file.exists()
        held.drop()
        assert held._sessions._value == 8
        assert not file.exists()


def sent(stream: Stream, header: FrameHeader, tensors: Tensors) -> None:
    """A frame and its report, as a node sends them that keeps to no turn."""
    stream.send(Header(frame=header), tensors)
    report = Report(frame=header.frame, assignment=header.assignment, at=header.at)
    report.stages.add(name="uplink", node=f"ue-{header.assignment}")
    stream.send(Header(report=report))


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize(
    ("numbers", "why"),
    [((5, 4), "refused frame 4 of assignment 2: frame 5 was"), ((5, 5), "refused frame 5 of .* 2")],
)
def test_frames_out_of_order_or_twice_are_refused_and_hurt_nobody_else(
    stored: StoredModel, tmp_path: Path, numbers: tuple[int, int], why: str, batch: int
) -> None:
    with crowd(stored, tmp_path, 2, batch=batch, batch_wait_ms=1) as found:
        found.run(1, [1])
        own = found.ues[2].frames
        tensors = own.held.of(Span(0, CUT)).run(own.source.tensors(0))
        with (
            pytest.raises(NodeError, match=why),
            found.ues[2].neighbours.far["edge"].stream() as stream,
        ):
            for number in numbers:
                sent(stream, FrameHeader(frame=number, assignment=2, at=1), tensors)
            for number in numbers:
                stream.receive_frame(number, 2).tensors(most_bytes=1 << 20)
        (record,) = found.run(1, [2])
        assert max_abs_diff(tensors_of(record.result), found.whole(1)) <= 1e-6
        found.run(2, [6])


def test_frames_for_the_assignment_of_another_ue_are_refused_and_that_one_goes_on(
    stored: StoredModel, tmp_path: Path
) -> None:
    with crowd(stored, tmp_path, 2) as found:
        found.run(1, [1])
        own = found.ues[2].frames
        tensors = own.held.of(Span(0, CUT)).run(own.source.tensors(0))
        why = r"refused a frame of assignment 1 from the node at \S+: they come from ue-1, the node"
        with (
            pytest.raises(NodeError, match=why),
            found.ues[2].neighbours.far["edge"].stream() as stream,
        ):
            sent(stream, FrameHeader(frame=1 << 40, assignment=1, at=1), tensors)
            stream.receive_frame(1 << 40, 1)
        for ue in found.ues:
            (record,) = found.run(ue, [2])
            assert max_abs_diff(tensors_of(record.result), found.whole(ue)) <= 1e-6


def test_whose_connection_has_gone_may_be_followed_by_another_of_the_same_ue(
    stored: StoredModel, tmp_path: Path
) -> None:
    with crowd(stored, tmp_path, 1) as found:
        found.run(1, [1])
        found.ues[1].neighbours.far["edge"].close()
        until(lambda: not found.edge.neighbours._senders._known)
        found.ues[1].neighbours.far = {"edge": (again := Dialled("edge", found.address))}
        found.run(1, [2])
        again.close()


def test_who_is_given_up_while_others_change_parts_has_none_run_together() -> None:
    held, changing, done = HeldParts("edge", 2), Event(), Event()

    def change() -> None:
        with held.turn:
            changing.set()
            done.wait()

    (other := Thread(target=change)).start()
    assert changing.wait(10)
    token = WANTED.set(lambda: False)
    try:
        with pytest.raises(NodeError, match="it was given up"):
            held.open_batch(Span(0, 1), 2, 1)
    finally:
        WANTED.reset(token)
        done.set()
        other.join()
