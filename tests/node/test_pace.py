"""A UE that is slowed, by real nodes: part 1 takes what was asked, a network anchor has none."""

import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil
import pytest

from orchestrator.ask.pace import Pace
from orchestrator.testbed.model import SweptModel
from orchestrator.testbed.nodes.pair import Pair
from splitbed.errors import MachineError, NodeError
from splitbed.node.processor import Processor
from tests.node.loopback import Splits, loopback_pair, small_model
from tests.shared_machine import within

pytestmark = pytest.mark.measures
FRAME_S = 60.0
SIDE = 700
"""Part 1 takes some 30 ms on one thread."""


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Pair, SweptModel]]:
    folder: Path = tmp_path_factory.mktemp("pair")
    with loopback_pair(folder, file=small_model(folder / "large.onnx", SIDE)) as both:
        yield both


def loaded(shared: tuple[Pair, SweptModel], layers: int) -> Splits:
    splits = Splits(*shared, warmup=1)
    splits.load(layers)
    return splits


def stages_ms(splits: Splits) -> dict[str, float]:
    record = splits.run(timeout_s=FRAME_S)
    return {stage.name: (stage.end_ns - stage.start_ns) / 1e6 for stage in record.stages}


def test_part_1_takes_so_many_times_as_long_in_frames(shared: tuple[Pair, SweptModel]) -> None:
    def times() -> float:
        splits = loaded(shared, 4)
        own: list[float] = []
        slow: list[float] = []
        for _ in range(5):  # by turns: others use the machine, too
            own.append(stages_ms(splits)["part1"])
            with splits.parts.pacing.paced(Pace(slowdown=3)) as slowed:
                slow.append(stages_ms(splits)["part1"])
        assert slowed.asked == 3
        assert slowed.ue_cpus is None
        assert slowed.ue_slowdown is not None
        return statistics.median(slow) / statistics.median(own)

    within(2.7, times, 3.3)


def paces() -> Sequence[Pace]:
    return [Pace(slowdown=4), Pace(cpus=0.25)]


@pytest.mark.parametrize("pace", paces(), ids=lambda pace: pace.words)
def test_a_network_anchor_has_no_part_1_for_a_stall_to_be_booked_in(
    shared: tuple[Pair, SweptModel], pace: Pace
) -> None:
    if pace.cpus:
        try:
            Processor().close()
        except MachineError as error:
            pytest.skip(str(error))
    splits = loaded(shared, 0)
    with splits.parts.pacing.paced(pace) as slowed:
        frames = [stages_ms(splits) for _ in range(4)]
    assert slowed.ue_slowdown is None
    assert {frame["part1"] for frame in frames} == {0.0}
    assert all(frame["encode"] > 0 for frame in frames)


def test_a_failure_on_a_slowed_ue_is_told_as_what_it_is_before_anything_is_asked_of_it(
    shared: tuple[Pair, SweptModel],
) -> None:
    splits = loaded(shared, 0)
    ue = psutil.Process(shared[0].ue.pid)
    with (
        pytest.raises(NodeError, match="the cloud is gone"),
        splits.parts.pacing.paced(Pace(slowdown=2)),
    ):
        ue.suspend()  # so that an answer to anything would be waited for
        raise NodeError("the cloud is gone")
    ue.resume()
