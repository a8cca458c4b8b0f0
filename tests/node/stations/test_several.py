"""Several frames under way between nodes over real gRPC, in this process."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import pytest

from splitbed.errors import FrameDropped, NodeError
from splitbed.flow import Station
from splitbed.graphs.parts import StoredModel
from splitbed.node.stations.queues import queues_of
from splitbed.node.stream import Stream
from splitbed.v1 import nodes_pb2
from splitbed.v1.nodes_pb2 import Queues
from splitbed.wire import max_abs_diff, tensors_of
from tests.node.stations.test_frames import FLOWS, NUMBER, Nodes, arrived, model_on_disk
from tests.node.stations.test_passing import DIALS, Network, network
from tests.shared_machine import until

__all__ = ["model_on_disk"]

FRAMES, SLOW_S = 40, 0.02
QUEUES = Queues(most=64)
WAYS = {"uplink": {"ue": "edge"}, "downlink": {"ue": "edge"}, "chain": DIALS["chain"]}


@dataclass
class Load:
    """Frames that carriers take through a network, and what became of each by its number."""

    net: Network
    in_flight: int
    done: dict[int, nodes_pb2.FrameRecord] = field(default_factory=dict)
    lost: dict[int, NodeError] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._turn = threading.Lock()
        self._numbers: Iterator[int] = iter(())
        self._carriers: list[threading.Thread] = []

    def begin(self, first: int = 1) -> None:
        self._numbers = iter(range(first, first + FRAMES))
        self._carriers = [threading.Thread(target=self._carry) for _ in range(self.in_flight)]
        for one in self._carriers:
            one.start()

    def end(self) -> None:
        for one in self._carriers:
            one.join(30)
            assert not one.is_alive()

    def run(self, first: int = 1) -> None:
        self.begin(first)
        self.end()
        numbers = range(first, first + FRAMES)
        assert sorted({*self.done, *self.lost} & {*numbers}) == [*numbers]  # nothing vanishes

    def _carry(self) -> None:
        passing = self.net.passing["ue"]
        while True:
            with self._turn:
                if (number := next(self._numbers, None)) is None:
                    return
                try:
                    frame = passing.enter(nodes_pb2.FrameRequest(frame=number, assignment=NUMBER))
                except NodeError as error:
                    self.lost[number] = error
                    continue
            try:
                self.done[number] = passing.go(frame)
            except NodeError as error:
                self.lost[number] = error


@contextmanager
def loaded(
    name: str,
    stored: StoredModel,
    folder: Path,
    in_flight: int = 4,
    queues: Queues = QUEUES,
) -> Iterator[Load]:
    with pytest.MonkeyPatch.context() as patch, network_of(name, stored, folder, patch) as net:
        for node, frames in net.nodes.frames.items():
            message = net.nodes.message(node)
            message.queues.CopyFrom(queues)
            message.queues.in_flight = in_flight
            for hop in message.hops:
                hop.rate_mbit, hop.rtt_ms = 1000, 1
            frames.assign(message)
        yield Load(net, in_flight)


@contextmanager
def network_of(
    name: str, stored: StoredModel, folder: Path, patch: pytest.MonkeyPatch
) -> Iterator[Network]:
    patch.setitem(DIALS, name, WAYS[name])
    with network(name, stored, folder) as net:
        yield net


def waits(held: threading.Event) -> None:
    held.wait(10)


def at_the_edge(load: Load, does: Callable[[], None]) -> None:
    """Have the edge do something more in each step of a frame that computes there."""

    @contextmanager
    def slowed(_threads: float) -> Iterator[None]:
        does()
        yield

    load.net.nodes.frames["edge"].slowed = slowed


@pytest.mark.parametrize("in_flight", [1, 4, 32])
@pytest.mark.parametrize("name", WAYS)
def test_frames_that_are_under_way_together_give_what_each_gives_alone_and_leave_in_order(
    name: str, in_flight: int, stored: StoredModel, tmp_path: Path
) -> None:
    with loaded(name, stored, tmp_path, in_flight) as load:
        load.run()
        whole = load.net.nodes.whole()
    assert not load.lost
    records = [load.done[number] for number in range(1, FRAMES + 1)]
    for record in records:
        assert max_abs_diff(tensors_of(record.result), whole) <= 1e-6
        ends = [(one.start_ns, one.end_ns) for one in record.stages]
        assert all(before[1] <= after[0] for before, after in pairwise(ends))
    for name_of in {one.name for one in records[0].stages} - {"wait"}:
        ends_ns = [
            [one.end_ns for one in record.stages if one.name == name_of] for record in records
        ]
        assert ends_ns == sorted(ends_ns)


def test_a_frame_that_fails_at_the_edge_is_told_alone(stored: StoredModel, tmp_path: Path) -> None:
    turns = iter(range(10_000))

    def fails_at_times() -> None:
        if next(turns) % 10 == 9:
            raise NodeError("the edge has a bad day")

    with loaded("uplink", stored, tmp_path) as load:
        at_the_edge(load, fails_at_times)
        load.run()
    assert len(load.lost) >= FRAMES // 10
    assert len(load.done) > FRAMES // 2
    for error in load.lost.values():
        assert str(error).startswith("the edge at ")
        assert "the edge has a bad day" in str(error)


def test_frames_that_all_fail_are_no_sign_of_life_of_a_run(
    stored: StoredModel, tmp_path: Path
) -> None:
    def fails() -> None:
        raise NodeError("the edge has a bad day")

    with loaded("uplink", stored, tmp_path) as load:
        at_the_edge(load, fails)
        load.run()
        assert load.net.passing["edge"].in_flight.last_s == 0
    assert len(load.lost) == FRAMES


@pytest.mark.parametrize("drop", ["newest", "oldest"])
def test_where_an_edge_has_no_room_frames_are_dropped_and_their_source_is_told(
    drop: str, stored: StoredModel, tmp_path: Path
) -> None:
    with loaded("uplink", stored, tmp_path, 8, Queues(most=1, drop=drop)) as load:
        at_the_edge(load, lambda: time.sleep(SLOW_S))
        load.run()
        found = load.net.passing["edge"].neighbours._near["ue"].incoming._found
        until(lambda: not found)  # nor is anything kept that was said of them
    assert load.done
    assert load.lost
    for number, error in load.lost.items():
        assert isinstance(error, FrameDropped)
        assert error.node == "edge"
        assert str(error) == f"edge had no room for frame {number}"


def test_where_nothing_is_dropped_an_edge_takes_no_more_than_may_wait(
    stored: StoredModel, tmp_path: Path
) -> None:
    seen: list[int] = []
    with loaded("uplink", stored, tmp_path, 16, Queues(most=2)) as load:
        order = load.net.nodes.frames["edge"].assignment(NUMBER).turns[1]._order

        def look() -> None:
            seen.append(sum(one.wants != 5 and one.began < 5 for one in order.here))
            time.sleep(0.002)

        at_the_edge(load, look)
        load.run()
    assert not load.lost
    assert max(seen) == 3


def test_an_edge_that_is_gone_is_told_of_every_frame_that_was_under_way(
    stored: StoredModel, tmp_path: Path
) -> None:
    with loaded("uplink", stored, tmp_path, 8) as load:
        at_the_edge(load, lambda: time.sleep(0.005))
        load.begin()
        until(lambda: len(load.done) > 5)
        load.net.servers["edge"].stop(0)
        load.end()
    assert {*load.done} | {*load.lost} == {*range(1, FRAMES + 1)}
    assert len(load.lost) >= 8


def test_who_gives_up_gives_up_all_that_are_under_way_and_can_begin_anew(
    stored: StoredModel, tmp_path: Path
) -> None:
    held = threading.Event()
    with loaded("uplink", stored, tmp_path, 8) as load:
        at_the_edge(load, lambda: waits(held))
        load.begin()
        here = load.net.nodes.frames["edge"].assignment(NUMBER).turns[1]._order.here
        until(lambda: len(here) == 8)
        load.net.passing["ue"].cancel()
        until(lambda: len(load.lost) >= 8)
        held.set()
        load.end()
        assert {*load.done} | {*load.lost} == {*range(1, FRAMES + 1)}
        load.run(first=FRAMES + 1)
    assert Counter(number > FRAMES for number in load.lost)[True] == 0


def test_a_node_that_forgets_its_run_gives_up_what_is_under_way(
    stored: StoredModel, tmp_path: Path
) -> None:
    held = threading.Event()
    with loaded("uplink", stored, tmp_path, 4) as load:
        edge = load.net.nodes.frames["edge"]
        at_the_edge(load, lambda: waits(held))
        load.begin()
        here = edge.assignment(NUMBER).turns[1]._order.here
        until(lambda: len(here) == 4)
        edge.forget()
        held.set()
        load.end()
    assert {*load.done} | {*load.lost} == {*range(1, FRAMES + 1)}
    assert len(load.lost) >= 3


@pytest.mark.parametrize(
    ("queues", "says"),
    [
        (Queues(in_flight=65), "from 1 to 64 frames are under way"),
        (Queues(in_flight=1, most=1025), "at most 1024 frames wait"),
        (Queues(in_flight=1, drop="all"), "'all' is none of newest, oldest, none"),
    ],
)
def test_queues_that_cannot_be_are_refused_by_what_is_wrong(
    queues: Queues, says: str, stored: StoredModel, tmp_path: Path
) -> None:
    nodes = Nodes(stored, tmp_path, *FLOWS["uplink"])
    message = nodes.message("edge")
    message.queues.CopyFrom(queues)
    with pytest.raises(NodeError, match=says):
        nodes.frames["edge"].assign(message)


def test_a_frame_that_breaks_off_once_it_has_come_is_in_nobodys_way(
    stored: StoredModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks_off(messages: Iterator[bytes]) -> None:
        raise NodeError("the UE hung up")

    monkeypatch.setattr("splitbed.node.stations.sending.LEAST_BYTES", 0)
    with loaded("uplink", stored, tmp_path) as load:
        passing = load.net.passing["edge"]
        with pytest.raises(NodeError, match="the UE hung up"):
            passing._came(arrived(), Stream("the UE", iter(()), breaks_off))
        assert not passing.frames.assignment(NUMBER).turns[1]._order.here


def test_several_frames_are_not_under_way_with_a_codec_that_knows_the_frame_before() -> None:
    message = nodes_pb2.Assignment(queues=Queues(in_flight=2), node="ue")
    way = Station("ue", source=True, gives="avc-inter:22"), Station("edge", 0, 6, part=1)
    with pytest.raises(NodeError, match="avc-inter:22 codes a frame by those before it"):
        queues_of(message, (*way, Station("ue", 6, 6)))
