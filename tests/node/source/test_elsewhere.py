"""Frames that a load offers and that end on other nodes than they began: real nodes on loopback."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from orchestrator.ask.flow import FLOWS
from orchestrator.ask.links import link_at
from orchestrator.ask.load import Load, load_named
from orchestrator.ask.sweep.cell import Cell
from orchestrator.measure.loads.offering import Offering
from orchestrator.measure.time_limits import TimeLimits
from orchestrator.results.records import FrameRecord
from orchestrator.results.statistics.offered import Offered, offered
from orchestrator.testbed.interruption import Interruption
from orchestrator.testbed.nodes.node_process import NodeProcess
from orchestrator.testbed.testbed import Testbed as Bed
from splitbed.errors import NodeError
from splitbed.timeline import WAIT
from tests.node.loopback import FRAME_S, Splits, loopback_link, loopback_pair

ELSEWHERE = [name for name, flow in FLOWS.items() if flow.users != (flow.source,)]
LAYERS = 3


@pytest.fixture(scope="module", params=ELSEWHERE)
def pair(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Splits]:
    with loopback_pair(tmp_path_factory.mktemp("pair"), flow=request.param) as both:
        yield Splits(*both, flow=request.param)


@pytest.fixture
def splits(pair: Splits) -> Splits:
    pair.alive().load(LAYERS)
    return pair


def offering(splits: Splits, load: Load, frames: int) -> Iterator[FrameRecord]:
    asked = replace(splits.last, link=link_at(100, 0), load=load)
    splits.parts.assign(asked)
    bed = Bed(splits.model, loopback_link(), splits.pair, Interruption())
    of_load = Offering(bed, splits.parts, TimeLimits(32, FRAME_S), seed=1)
    for taken in of_load.offered(Cell(asked, 8192, frames=frames), asked, "attempt"):
        yield taken.record


def told(frames: list[FrameRecord]) -> Offered:
    return offered([fate for frame in frames if (fate := frame.fate)])


def test_every_frame_is_told_with_what_all_its_nodes_did(splits: Splits) -> None:
    frames = [*offering(splits, load_named("fps:100", drop="none", in_flight=4), 40)]
    assert sorted(frame.frame for frame in frames) == [*range(40)]
    assert {frame.outcome for frame in frames} == {"ok"}
    splits.load(LAYERS)
    alone = [one.name for one in splits.run().stages]
    for frame in frames:
        assert [one.name for one in frame.stages if one.name != WAIT] == alone
        assert frame.done_ns == max(one.end_ns for one in frame.stages)
        assert frame.max_abs_diff is not None
        assert frame.max_abs_diff < 1e-6
        assert isinstance(frame.heard_ns, int)
        assert frame.heard_ns >= frame.fate.done_ns if frame.fate else None


def test_no_more_are_under_way_than_are_asked_and_they_end_in_order(splits: Splits) -> None:
    frames = [*offering(splits, load_named("closed", in_flight=2), 40)]
    assert {frame.outcome for frame in frames} == {"ok"}
    ordered = sorted(frames, key=lambda frame: frame.frame)
    ends = [fate.done_ns for frame in ordered if (fate := frame.fate)]
    assert ends == sorted(ends)
    for earlier, later in zip(ordered, ordered[2:], strict=False):
        assert later.stages[0].start_ns > earlier.fate.done_ns if earlier.fate else None


def test_what_a_source_drops_and_what_comes_through_are_all_there_are(splits: Splits) -> None:
    frames = [*offering(splits, load_named("burst:20/0.1", queue=2, drop="newest"), 60)]
    found = told(frames)
    assert found.dropped_source > 0
    assert found.offered == found.done + found.dropped_source + found.dropped_edge == 60


def test_loads_follow_one_another_and_frames_that_are_asked_for_alone(splits: Splits) -> None:
    for _ in range(3):
        assert told([*offering(splits, load_named("fps:100", drop="none"), 5)]).done == 5
        splits.load(LAYERS)
        assert splits.run().max_abs_diff <= 1e-6


def test_when_the_user_dies_every_frame_is_accounted_for_and_the_reason_told(
    splits: Splits,
) -> None:
    user, found = FLOWS[splits.flow].user, list[FrameRecord]()
    with pytest.raises(NodeError, match=f"the {user} node .*signal 9"):
        for frame in offering(splits, load_named("fps:100", drop="none"), 400):
            found.append(frame)
            if len(found) == 20:
                node = splits.pair.nodes[user]
                assert isinstance(node, NodeProcess)
                assert node.process is not None
                node.process.kill()
    assert sorted(frame.frame for frame in found) == [*range(400)]
    numbers = told(found)
    assert numbers.errors >= 100
    assert numbers.offered == numbers.done + numbers.errors == 400
