"""Frames offered at their source as they are due: two real nodes on loopback."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from orchestrator.ask.links import link_at
from orchestrator.ask.load import Load, load_named
from orchestrator.ask.sweep.cell import Cell
from orchestrator.measure.loads.offering import Offering
from orchestrator.measure.time_limits import TimeLimits
from orchestrator.results.records import FrameRecord
from orchestrator.results.statistics.offered import Offered, offered
from orchestrator.testbed import testbed
from orchestrator.testbed.interruption import Interruption
from orchestrator.testbed.nodes.node_process import NodeProcess
from splitbed.errors import NodeError
from splitbed.timeline import WAIT
from splitbed.v1 import nodes_pb2, nodes_pb2_grpc
from tests.node.loopback import FRAME_S, Splits, loopback_link, loopback_pair


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Splits]:
    with loopback_pair(tmp_path_factory.mktemp("pair")) as both:
        yield Splits(*both)


@pytest.fixture
def splits(pair: Splits) -> Splits:
    pair.alive().load(3)
    return pair


def bed_of(splits: Splits) -> testbed.Testbed:
    return testbed.Testbed(splits.model, loopback_link(), splits.pair, Interruption())


def offer(splits: Splits, load: Load, frames: int) -> list[FrameRecord]:
    """What became of so many frames of the split that was loaded last."""
    asked = replace(splits.last, link=link_at(100, 0), load=load)
    splits.parts.assign(asked)
    limits = TimeLimits(result_bytes=32, frame_timeout_s=FRAME_S)
    offering = Offering(bed_of(splits), splits.parts, limits, seed=1)
    cell = Cell(asked, 8192, frames=frames)
    return [taken.record for taken in offering.offered(cell, asked, "attempt")]


def kill(splits: Splits, name: str) -> None:
    node = splits.pair.nodes[name]
    assert isinstance(node, NodeProcess)
    assert node.process is not None
    node.process.kill()


def told(frames: Sequence[FrameRecord]) -> Offered:
    return offered([fate for frame in frames if (fate := frame.fate)])


def test_frames_begin_as_they_are_due_and_every_one_is_told(splits: Splits) -> None:
    frames = offer(splits, load_named("fps:100", drop="none"), 40)
    assert [frame.frame for frame in frames] == [*range(40)]
    assert {frame.outcome for frame in frames} == {"ok"}
    due = [fate.due_ns for frame in frames if (fate := frame.fate)]
    assert [after - before for before, after in pairwise(due)] == [10_000_000] * 39
    for frame, due_ns in zip(frames, due, strict=True):
        assert due_ns <= frame.stages[0].start_ns == frame.start_ns
        assert frame.done_ns == frame.stages[-1].end_ns
        assert frame.max_abs_diff is not None
        assert frame.max_abs_diff < 1e-3


def test_what_became_of_frames_is_told_of_several_together(splits: Splits) -> None:
    splits.parts.assign(asked := replace(splits.last, load=load_named("fps:200")))
    request = nodes_pb2.OfferRequest(
        assignment=splits.parts.assignment(asked),
        first=1 << 32,
        inputs=[0],
        due_ns=asked.load.due_ns(100, 0),
    )
    stub = nodes_pb2_grpc.StationsStub(splits.pair.nodes["ue"].channel)
    messages = [*stub.Offer(request, timeout=FRAME_S)]
    told = [one for some in messages for one in some.outcomes]
    assert sorted(one.frame - request.first for one in told) == [*range(100)]
    took_s = (max(one.done_ns for one in told) - min(one.due_ns for one in told)) / 1e9
    assert len(messages) <= 2 + took_s / 0.25


def test_a_frame_that_waits_for_the_one_before_does_so_from_when_it_was_due(splits: Splits) -> None:
    frames = offer(splits, load_named("burst:4/0.05", in_flight=4), 20)
    for frame in frames:
        first = frame.stages[0]
        assert first.start_ns == frame.start_ns
        assert first.start_ns >= (frame.fate.due_ns if frame.fate else 0)
    assert any(frame.stages[0].name == WAIT for frame in frames)


def test_a_source_that_cannot_keep_up_drops_what_waits_and_counts_it(splits: Splits) -> None:
    frames = offer(splits, load_named("burst:20/0.05"), 60)
    assert {frame.outcome for frame in frames} == {"ok"}  # of these none is dropped
    # each of a burst has waited for all before it, from when they all were due
    responses = [fate.done_ns - fate.due_ns for frame in frames[:20] if (fate := frame.fate)]
    assert responses == sorted(responses)
    took = [frame.stages[-1].end_ns - frame.stages[0].start_ns for frame in frames[:20]]
    assert responses[-1] >= sum(took)
    found = told(offer(splits, load_named("burst:20/0.05", queue=2, drop="newest"), 60))
    assert found.dropped_source >= 17
    assert found.offered == found.done + found.dropped_source == 60
    assert not found.sustained


def test_of_a_burst_the_last_are_carried_under_their_own_numbers(splits: Splits) -> None:
    asked = replace(splits.last, load=load_named("burst:8/0.1", drop="oldest"))
    splits.parts.assign(asked)
    request = nodes_pb2.OfferRequest(
        assignment=splits.parts.assignment(asked),
        inputs=[0],
        due_ns=asked.load.due_ns(24, 0),
    )
    told = [*splits.pair.ways.offer(request, FRAME_S)]
    assert sorted(one.frame for one in told) == [*range(request.first, request.first + 24)]
    ok = [one for one in told if one.outcome == "ok"]
    assert ok
    assert [one.record.frame for one in ok] == [one.frame for one in ok]
    # who begins late, since it is told late, begins
    late = nodes_pb2.OfferRequest(
        assignment=request.assignment,
        inputs=[0],
        due_ns=[0],
        start_ns=told[-1].done_ns - 10**9,
    )
    assert [one.outcome for one in splits.pair.ways.offer(late, FRAME_S)] == ["ok"]


def test_of_several_in_flight_all_come_through_in_order_and_are_the_whole_models(
    splits: Splits,
) -> None:
    frames = offer(splits, load_named("closed", in_flight=4), 40)
    assert sorted(frame.frame for frame in frames) == [*range(40)]
    assert {frame.outcome for frame in frames} == {"ok"}
    assert all(frame.max_abs_diff < 1e-3 for frame in frames if frame.max_abs_diff is not None)
    ordered = sorted(frames, key=lambda frame: frame.frame)
    ends = [frame.stages[-1].end_ns for frame in ordered]
    assert ends == sorted(ends)
    # while one is on the edge another is on the UE
    assert any(
        later.stages[0].start_ns < end for later, end in zip(ordered[1:], ends, strict=False)
    )


def test_what_takes_longer_from_when_it_was_due_than_it_may_is_late(splits: Splits) -> None:
    frames = offer(splits, load_named("burst:20/1", deadline_ms=0.001), 20)
    assert {frame.outcome for frame in frames} == {"late"}
    assert all(frame.stages for frame in frames)


def test_frames_that_are_asked_for_one_by_one_are_not_offered(splits: Splits) -> None:
    splits.load(3)
    request = nodes_pb2.OfferRequest(
        assignment=splits.parts.assignment(splits.last), inputs=[0], frames=1
    )
    with pytest.raises(NodeError, match="come one at a time, it has no queues"):
        [*splits.pair.ways.offer(request, FRAME_S)]


@pytest.mark.parametrize(
    ("request_", "why"),
    [
        ({"frames": 0}, "0 are asked, not 1 to 100000"),
        ({"frames": 10**6}, "1000000 are asked"),
        ({"frames": 1, "inputs": []}, "of 0 inputs"),
        ({"due_ns": [5, 4]}, "one is due before another"),
        ({"due_ns": [2**63]}, "a day is most"),
        ({"frames": 1, "start_ns": 1}, "s from now, 60 before or after are most"),
    ],
)
def test_a_schedule_that_cannot_be_is_refused_at_the_door(
    request_: dict[str, Any], why: str, splits: Splits
) -> None:
    asked = replace(splits.last, load=load_named("fps:10"))
    splits.parts.assign(asked)
    number = splits.parts.assignment(asked)
    request = nodes_pb2.OfferRequest(**{"assignment": number, "inputs": [0], **request_})
    with pytest.raises(NodeError, match=why):
        [*splits.pair.ways.offer(request, FRAME_S)]


def test_who_asks_for_no_more_has_ended_it_soon(splits: Splits) -> None:
    asked = replace(splits.last, load=load_named("fps:0.1"))
    splits.parts.assign(asked)
    request = nodes_pb2.OfferRequest(
        assignment=splits.parts.assignment(asked), inputs=[0], due_ns=[0, 60 * 10**9]
    )
    outcomes = splits.pair.ways.offer(request, FRAME_S)
    assert next(outcomes).outcome == "ok"
    outcomes.close()
    # the node goes on at once with what comes next
    assert told(offer(splits, load_named("fps:100", drop="none"), 5)).done == 5


def offer_until(splits: Splits, load: Load, frames: int, last: int, dies: str) -> list[FrameRecord]:
    """What became of so many frames of which one is the last before a node dies."""
    asked = replace(splits.last, link=link_at(100, 0), load=load)
    splits.parts.assign(asked)
    offering = Offering(bed_of(splits), splits.parts, TimeLimits(32, FRAME_S))
    found: list[FrameRecord] = []
    with pytest.raises(NodeError, match=rf"the {dies} node .*\(signal 9\)"):
        for taken in offering.offered(Cell(asked, 8192, frames=frames), asked, "attempt"):
            found.append(taken.record)
            if len(found) == last:
                kill(splits, dies)
    assert sorted(frame.frame for frame in found) == [*range(frames)]
    return found


def test_when_the_edge_dies_every_frame_is_accounted_for_and_the_reason_told(
    splits: Splits,
) -> None:
    found = offer_until(splits, load_named("fps:100", drop="none"), 100, 20, "edge")
    numbers = told(found)
    assert numbers.errors >= 10
    assert numbers.offered == numbers.done + numbers.errors == 100


def test_when_the_source_dies_its_frames_have_failed(splits: Splits) -> None:
    found = offer_until(splits, load_named("fps:50"), 40, 10, "ue")
    assert found[-1].outcome == "error"
    assert "signal 9" in str(found[-1].reason)
