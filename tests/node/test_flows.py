"""The flows of two nodes, through real node processes over real gRPC."""

import os
import signal
from collections.abc import Iterator
from itertools import pairwise

import pytest

from netem.spec import symmetric
from splitbed.errors import NodeError
from splitbed.timeline import Stage, Timeline
from tests.node.loopback import FRAME_S, LAYERS, Splits, loopback_pair

FLOWS = ("downlink", "remote-source")
PICTURE_BYTES, MAP_BYTES = 3 * 16 * 16 * 4, 8 * 16 * 16 * 4


@pytest.fixture(scope="module", params=FLOWS)
def pair(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Splits]:
    with loopback_pair(tmp_path_factory.mktemp("pair"), flow=request.param) as both:
        yield Splits(*both, flow=request.param, warmup=1)


@pytest.fixture
def splits(pair: Splits) -> Splits:
    return pair.alive()


@pytest.mark.parametrize("layers", range(LAYERS + 1))
def test_every_cut_gives_the_whole_models_output_and_is_compared_with_it(
    splits: Splits, layers: int
) -> None:
    splits.load(layers)
    for number in range(2):
        record = splits.run(number)
        assert record.frame == number
        assert record.max_abs_diff <= 1e-6
        assert dict(record.results) == {"scores": 1}
    (result,) = record.result
    assert result.info.name == "scores"


def test_results_that_cross_are_no_intermediate_data(splits: Splits) -> None:
    splits.load(LAYERS)
    record = splits.run()
    crossed = PICTURE_BYTES if splits.flow == "downlink" else 0
    assert (record.intermediate_bytes, record.encoded_bytes) == (crossed, crossed)


@pytest.mark.parametrize("delivery", [False, True])
def test_parts_come_to_the_nodes_that_run_them(splits: Splits, delivery: bool) -> None:
    own = Splits(splits.pair, splits.model, flow=splits.flow, delivery=delivery)
    asked = own.asked(2)
    own.parts.load(asked)
    took_ms = own.parts.deliver(symmetric(rate_mbit=20), timeout_s=FRAME_S)
    assert (took_ms is not None) == delivery
    own.parts.assign(asked)
    assert own.run(of=asked).max_abs_diff <= 1e-6
    assert 0 < own.parts.loaded.part1_bytes < own.parts.loaded.part2_bytes


def stages_of(splits: Splits) -> list[Stage]:
    return [Stage(one.name, one.start_ns, one.end_ns) for one in splits.run().stages]


def test_the_stages_of_a_frame_are_those_of_its_flow_and_follow_one_another(
    splits: Splits,
) -> None:
    splits.load(2)
    stages = stages_of(splits)
    up = ["encode", "uplink", "decode"] if splits.flow == "downlink" else []
    names = ["preprocess", *up, "part1", "encode", "downlink", "decode", "part2", "result"]
    assert [stage.name for stage in stages] == names
    assert all(a.end_ns <= b.start_ns for a, b in pairwise(stages))
    assert Timeline(stages).crosses


def test_bytes_are_told_hop_by_hop_and_only_intermediate_data_as_such(splits: Splits) -> None:
    splits.load(2, "fp16")
    record = splits.run()
    hops = {one.name: one.bytes for one in record.stages if "link" in one.name}
    # without an input codec of its own the input is coded as the data
    up = {"uplink": PICTURE_BYTES // 2} if splits.flow == "downlink" else {}
    assert hops == up | {"downlink": MAP_BYTES // 2}
    assert (record.intermediate_bytes, record.encoded_bytes) == (MAP_BYTES, MAP_BYTES // 2)


def test_the_link_is_warmed_both_ways(splits: Splits) -> None:
    splits.load(2)
    for back in (0, 1, 500_000):
        splits.pair.warm_link({"uplink": 1000, "downlink": back}, FRAME_S)
    assert splits.run().max_abs_diff <= 1e-6


def test_a_frame_that_its_source_refuses_is_awaited_no_longer(splits: Splits) -> None:
    splits.load(2)
    with pytest.raises(NodeError, match="no input 5"):
        splits.pair.ways.run_frame(0, 5, FRAME_S, splits.parts.assignment(splits.last))
    splits.load(2)  # what was given up took the stream with it
    assert splits.run().max_abs_diff <= 1e-6


def test_a_node_that_dies_is_named_and_a_restart_mends_it(splits: Splits) -> None:
    splits.load(2)
    os.kill(splits.pair.ue.pid, signal.SIGKILL)
    with pytest.raises(NodeError, match="the ue node died"):
        splits.run()
    splits.restart()
    assert splits.run().max_abs_diff <= 1e-6
    os.kill(splits.pair.edge.pid, signal.SIGKILL)
    with pytest.raises(NodeError, match="the edge node died"):
        splits.run()
