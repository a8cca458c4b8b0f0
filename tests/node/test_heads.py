"""Two users of one trunk: three node processes, a way to each UE, a head of the model on each."""

import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from netem.spec import symmetric
from orchestrator.ask.sweep.config import SweepConfig, sweep_config
from orchestrator.measure.profiling.taking import take_outline, take_profile
from orchestrator.results.profile import Profile
from orchestrator.results.records import NodeResources
from orchestrator.testbed.model import SweptModel
from orchestrator.testbed.nodes.pair import Pair
from splitbed.errors import NodeError
from splitbed.meters.cpu import REST
from splitbed.wire import max_abs_diff, tensors_of
from tests.node.loopback import FRAME_S, Splits, loopback_pair

MAP_BYTES = 8 * 16 * 16 * 4
LAYERS = 6


def two_headed(path: Path, side: int = 16) -> Path:
    """Conv and relu, then two heads of a conv and a mean, one of them of a map of its own."""
    rng = np.random.default_rng(0)
    nodes = [
        helper.make_node("Conv", ["image", "w"], ["a"], "conv", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["a"], ["b"], "relu"),
        helper.make_node("Conv", ["b", "v"], ["c"], "conv1", pads=[1, 1, 1, 1]),
        helper.make_node("GlobalAveragePool", ["c"], ["team"], "mean1"),
        helper.make_node("Conv", ["b", "u"], ["d"], "conv2", pads=[1, 1, 1, 1]),
        helper.make_node("GlobalMaxPool", ["d"], ["ball"], "max2"),
    ]
    shapes = {"w": (8, 3, 3, 3), "v": (4, 8, 3, 3), "u": (2, 8, 3, 3)}
    graph = helper.make_graph(
        nodes,
        "heads",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, side, side])],
        [
            helper.make_tensor_value_info("team", TensorProto.FLOAT, [1, 4, 1, 1]),
            helper.make_tensor_value_info("ball", TensorProto.FLOAT, [1, 2, 1, 1]),
        ],
        [
            numpy_helper.from_array(rng.standard_normal(shape).astype(np.float32) / 5, name)
            for name, shape in shapes.items()
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)
    return path


@pytest.fixture(scope="module")
def heads(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Splits]:
    folder = tmp_path_factory.mktemp("heads")
    file = two_headed(folder / "heads.onnx")
    with loopback_pair(folder, file=file, flow="multi-head") as both:
        yield Splits(*both, flow="multi-head", warmup=1)


@pytest.mark.parametrize("layers", [0, 2, 4, LAYERS])
def test_the_heads_together_give_the_whole_models_outputs(heads: Splits, layers: int) -> None:
    heads.load(layers)
    for number in range(2):
        record = heads.run(number)
        assert record.frame == number
        assert record.max_abs_diff <= 1e-6
        assert dict(record.results) == {"team": 1, "ball": 1}
        assert max_abs_diff(tensors_of(record.result), heads.pair.references[0]) <= 1e-6


def test_the_trunk_runs_once_and_each_user_gets_what_it_gave(heads: Splits) -> None:
    heads.load(2, "fp16")
    record = heads.run()
    stages = [(one.name, one.node) for one in record.stages]
    assert stages == [
        *(("preprocess", "edge"), ("part1", "edge"), ("encode", "edge")),
        *(("downlink", "edge"), ("decode", "ue-1"), ("part2", "ue-1"), ("result", "ue-1")),
        *(("downlink2", "edge"), ("decode", "ue-2"), ("part2", "ue-2"), ("result", "ue-2")),
    ]
    sent = {one.name: one.bytes for one in record.stages if one.bytes}
    assert sent == {"downlink": MAP_BYTES // 2, "downlink2": MAP_BYTES // 2}
    assert record.intermediate_bytes == 2 * record.encoded_bytes == MAP_BYTES


def test_of_every_node_the_cpu_time_is_told_and_of_the_trunk_once(heads: Splits) -> None:
    heads.load(2, "fp16")
    spent = [(one.node, one.stage) for one in heads.run().cpu if one.stage != REST]
    trunk = [("edge", stage) for stage in ("preprocess", "part1", "encode", "downlink")]
    users = [
        (user, stage)
        for user, hop in (("ue-1", "downlink"), ("ue-2", "downlink2"))
        for stage in (hop, "decode", "part2", "result")
    ]
    assert sorted(spent) == sorted([*trunk, ("edge", "downlink2"), *users])


def test_each_switch_of_every_node_is_told_once_however_many_a_frame_goes_to(
    heads: Splits,
) -> None:
    heads.load(2)
    heads.pair.meters.begin()
    said = [heads.run(number) for number in range(8)]
    taken: dict[str, NodeResources] = heads.pair.meters.end()
    for node, told in taken.items():
        prints = [one for record in said for one in record.footprints if one.node == node]
        assert len(prints) == len(said)
        assert told.voluntary_switches and told.involuntary_switches is not None
        whole = told.voluntary_switches + told.involuntary_switches
        of_frames = sum(one.voluntary_switches + one.involuntary_switches for one in prints)
        assert whole * 0.7 < of_frames <= whole  # but for what follows the last


def test_what_is_large_is_encoded_once_while_it_is_sent_to_both(tmp_path: Path) -> None:
    file = two_headed(tmp_path / "large.onnx", side=180)
    with loopback_pair(tmp_path, file=file, flow="multi-head") as both:
        large = Splits(*both, flow="multi-head")
        large.load(2, "zstd:9")
        said = large.run()
        large.parts.assign(large.last, whole=True)
        whole = large.run(1)
    released = {one.name: [*one.releases] for one in said.stages if one.releases}
    assert set(released) == {"downlink", "downlink2"}
    assert released["downlink"] == released["downlink2"]
    assert not any(one.releases for one in whole.stages)
    assert said.result == whole.result
    spent = [(one.node, one.stage, one.ns) for one in said.cpu if one.stage == "encode"]
    assert len(spent) == 2  # the first piece, and those while it was sent


def test_a_head_has_no_layers_that_its_outputs_do_not_need(heads: Splits) -> None:
    heads.load(2)
    said = heads.parts._cut.said
    parts = {
        name: one.part_bytes for (name, span), one in said.items() if name != heads.pair.holder
    }
    assert 4 * 8 * 9 * 4 < parts["ue-1"] < (4 + 2) * 8 * 9 * 4 + 1000
    assert parts["ue-2"] < parts["ue-1"]
    assert heads.parts.loaded.part2_bytes == sum(parts.values())


def test_each_user_fetches_its_own_head(heads: Splits) -> None:
    own = Splits(heads.pair, heads.model, flow="multi-head", delivery=True)
    own.parts.load(asked := own.asked(2))
    assert [name for name, _ in own.parts._cut.delivered] == ["ue-1", "ue-2"]
    assert own.parts.deliver(symmetric(rate_mbit=20), timeout_s=FRAME_S)
    own.parts.assign(asked)
    assert own.run(of=asked).max_abs_diff <= 1e-6


@pytest.mark.parametrize("own", [((1,), ()), ((), ())])
def test_users_with_all_outputs_make_the_result_of_them(
    heads: Splits, own: tuple[tuple[int, ...], ...]
) -> None:
    heads.parts.forget()  # what is held is of other heads
    asked = replace(heads.asked(2), heads=own)
    heads.parts.load(asked)
    heads.parts.assign(asked)
    record = heads.run(of=asked)
    assert record.max_abs_diff <= 1e-6
    assert dict(record.results) == {"ball": 1, "team": 1}
    assert record.result_bytes == sum(
        4 * (sum((4, 2)[place] for place in head) or 6) for head in own
    )
    heads.parts.forget()


def test_several_splits_are_held_at_once(heads: Splits) -> None:
    every = [heads.asked(layers) for layers in (0, 2, LAYERS)]
    heads.parts.hold(every)
    for asked in (*every, *every):
        assert heads.run(of=asked).max_abs_diff <= 1e-6


def test_a_user_that_dies_is_named_and_a_restart_mends_it(heads: Splits) -> None:
    heads.load(2)
    os.kill(heads.pair.nodes["ue-2"].says.pid, signal.SIGKILL)
    with pytest.raises(NodeError, match="the ue-2 node died"):
        heads.run()
    heads.restart()
    assert heads.run().max_abs_diff <= 1e-6


@pytest.mark.parametrize(("take", "ue_threads"), [(take_profile, 2), (take_outline, 1)])
def test_each_user_is_profiled_with_the_layers_that_its_head_needs(
    heads: Splits, take: Callable[[SweepConfig, SweptModel, Pair], Profile], ue_threads: int
) -> None:
    asked = {"model": "heads", "split": "2:4,3:3", "flow": "multi-head", "edge_threads": 1}
    config = sweep_config(asked | {"ue_threads": ue_threads})
    profile = take(config, heads.model, heads.pair)
    for name, first in (("ue-1", 4), ("ue-2", 2)):  # where the other's head is
        assert sum(profile.node(name).ms(k, k + 1) for k in (first, first + 1)) == 0
    for node in (profile.ue, profile.others["ue-2"]):
        assert sum(span.ms for span in node.layers) == pytest.approx(node.steady_ms)
    placed_ms = profile.placed_ms(2, flow="multi-head")
    assert [*placed_ms] == [("edge", 1), ("ue-1", 2), ("ue-2", 2)]
    assert min(placed_ms.values()) > 0
    if take is take_profile:
        ran = [(one.first, one.last) for one in profile.others["ue-2"].parts]
        assert ran == [(2, LAYERS), (3, LAYERS), (0, LAYERS)]
