"""Profiles that real nodes take of themselves."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.ask.sweep.config import sweep_config
from orchestrator.measure.profiling.taking import take_outline, take_profile
from orchestrator.results.rows import known
from splitbed.v1 import nodes_pb2
from tests.node.loopback import LAYERS, Splits, loopback_pair


@pytest.fixture(scope="module")
def splits(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Splits]:
    with loopback_pair(tmp_path_factory.mktemp("pair")) as both:
        yield Splits(*both)


def test_both_nodes_time_the_model_and_each_of_its_layers(splits: Splits) -> None:
    config = sweep_config({"model": "small", "split": "all", "ue_threads": 1, "edge_threads": 1})
    model = splits.model
    profile = take_profile(config, model, splits.pair)
    splits.parts.forget()
    splits.load(3)  # a node that was profiled goes on serving
    assert splits.run().frame == 0
    assert [cut.k for cut in profile.cuts] == list(range(LAYERS + 1))
    assert [cut.intermediate_bytes for cut in profile.cuts][:LAYERS] == [
        model.graph.cuts[k].nbytes for k in range(LAYERS)
    ]
    assert profile.cuts[0].part1_bytes == 0 < profile.cuts[1].part1_bytes
    for node in (profile.ue, profile.edge):
        assert [(span.first, span.last) for span in node.layers] == [
            (k, k + 1) for k in range(LAYERS)
        ]
        assert [span.op for span in node.layers][:3] == ["Conv", "Relu", "Conv"]
        # what a call costs is taken off each, which may leave a tiny layer nothing
        assert min(span.ms for span in node.layers) >= 0
        assert min(known(node.init_ms), known(node.warmup_ms), node.steady_ms) > 0
        assert known(node.overall_memory_bytes) >= known(node.init_memory_bytes) > 0
        assert node.ms(0, LAYERS) == pytest.approx(node.steady_ms, rel=0.01)
    inside = range(1, LAYERS)
    assert [(one.first, one.last) for one in profile.ue.parts] == [
        *((0, k) for k in inside),
        (0, LAYERS),
    ]
    assert [(one.first, one.last) for one in profile.edge.parts] == [
        (0, LAYERS),
        *((k, LAYERS) for k in inside),
    ]
    for k in inside:
        assert min(profile.predicted_ms(k)) > 0


def test_each_node_of_a_chain_runs_the_parts_that_it_may_have(tmp_path: Path) -> None:
    asked = {"model": "small", "split": "1:5+3:3,2:4+4:2", "flow": "chain"}
    config = sweep_config({**asked, "ue_threads": 1, "edge_threads": 1})
    with loopback_pair(tmp_path, flow="chain") as (pair, model):
        profile = take_profile(config, model, pair)
    assert {*profile.others} == {"cloud"}
    ran = {
        name: [(one.first, one.last) for one in profile.node(name).parts]
        for name in ("ue", "edge", "cloud")
    }
    whole = (0, LAYERS)
    assert ran == {
        "ue": [(0, 1), (0, 2), whole],
        "edge": [whole, (1, 3), (2, 4)],
        "cloud": [whole, (3, LAYERS), (4, LAYERS)],
    }
    assert profile.node("cloud").layers == profile.edge.layers  # one machine, as many threads
    assert len(profile.predicted_ms(1, 3, flow="chain")) == 3
    assert min(profile.predicted_ms(1, 3, flow="chain")) > 0


@pytest.mark.parametrize("ue_threads", [1, 2])
def test_for_a_race_the_whole_model_is_timed_and_layers_share_it_by_what_they_compute(
    splits: Splits, ue_threads: int
) -> None:
    asked = {"model": "small", "split": "all", "ue_threads": ue_threads, "edge_threads": 1}
    model = splits.model
    outline = take_outline(sweep_config({**asked, "until_sure": True}), model, splits.pair)
    assert outline.outline
    assert (outline.ue == outline.edge) is (ue_threads == 1)  # alike, and run once then
    first, second = 3 * 8, 8 * 8  # channels in and out of both convolutions
    for node in (outline.ue, outline.edge):
        shares = [span.ms / node.steady_ms for span in node.layers]
        expected = [first / (first + second), 0, second / (first + second), 0, 0, 0]
        assert shares == pytest.approx(expected)
        assert node.paced_ms > 0
    crossing = [cut.intermediate_bytes for cut in outline.cuts]
    assert crossing == [*(model.graph.cuts[k].nbytes for k in range(LAYERS)), 0]


def test_a_part_that_cannot_be_run_is_refused_and_the_node_lives(splits: Splits) -> None:
    options = nodes_pb2.ProfileOptions(threads=1, warmup=1, runs=1)
    broken = nodes_pb2.PartPiece(data=b"no header")
    pieces = [nodes_pb2.ProfilePiece(options=options), nodes_pb2.ProfilePiece(piece=broken)]
    with pytest.raises(Exception, match="begins with its header"):
        splits.pair.profile("ue", iter(pieces))
    splits.parts.forget()
    splits.load(2)
    assert splits.run().frame == 0
