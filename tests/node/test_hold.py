"""Nodes that hold several splits, and switch between frames."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.testbed.pair import Pair
from splitbed.errors import NodeError
from splitbed.graphs.formats import load_graph
from splitbed.graphs.parts import extract, store
from splitbed.node.config import Limits
from splitbed.node.delivery import CutPart, info_of
from splitbed.node.host import NodeHost
from splitbed.v1 import nodes_pb2
from tests.node.loopback import loopback_pair, small_model

FRAME_S = 20.0
HELD = (0, 2, 3)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with loopback_pair(tmp_path_factory.mktemp("pair")) as (pair, _):
        yield pair


@pytest.fixture
def pair(shared: Pair) -> Pair:
    for place, layers in enumerate(HELD):
        shared.load(layers, threads=(1, 1), warmup=0, keep=HELD[:place])
    return shared


def test_each_frame_runs_the_split_that_it_names(pair: Pair) -> None:
    crossing: dict[int, int] = {}
    for frame, layers in enumerate((0, 2, 3, 2, 0)):
        record = pair.run_frame(frame, 0, FRAME_S, layers)
        assert record.max_abs_diff <= 1e-6
        assert crossing.setdefault(layers, record.intermediate_bytes) == record.intermediate_bytes
    assert crossing[0] < crossing[2] < crossing[3]  # one picture, one map, two maps


def test_a_frame_that_names_none_runs_the_split_that_was_opened_last(pair: Pair) -> None:
    named = pair.run_frame(0, 0, FRAME_S, HELD[-1])
    assert pair.run_frame(1, 0, FRAME_S).intermediate_bytes == named.intermediate_bytes


def test_a_frame_of_a_split_that_is_not_held_is_refused_with_those_that_are(pair: Pair) -> None:
    with pytest.raises(NodeError, match=r"no part of the cut after 4 layers.*0, 2, 3"):
        pair.run_frame(0, 0, FRAME_S, 4)
    assert pair.run_frame(1, 0, FRAME_S, 2).max_abs_diff <= 1e-6


@pytest.mark.parametrize("keep", [(), (0, 2)])
def test_a_split_that_is_loaded_takes_the_place_of_all_that_are_not_kept(
    pair: Pair, keep: tuple[int, ...]
) -> None:
    pair.load(2, threads=(1, 1), warmup=0, keep=keep)
    with pytest.raises(NodeError, match="holds no part of the cut after 3"):
        pair.run_frame(0, 0, FRAME_S, 3)
    for frame, layers in enumerate({2, *keep}):
        assert pair.run_frame(frame, 0, FRAME_S, layers).max_abs_diff <= 1e-6


def test_a_codec_is_of_the_split_that_it_was_set_for(pair: Pair) -> None:
    pair.use_codec(nodes_pb2.CodecRequest(codec="fp16", layers=2))
    raw = pair.run_frame(0, 0, FRAME_S, 3)
    halved = pair.run_frame(1, 0, FRAME_S, 2)
    assert raw.encoded_bytes == raw.intermediate_bytes
    assert halved.encoded_bytes == halved.intermediate_bytes // 2


def test_a_split_that_is_held_is_come_back_to_without_loading_it(pair: Pair) -> None:
    pair.use_part(HELD[0], warmup=1)
    back = pair.run_frame(0, 0, FRAME_S)
    assert back.intermediate_bytes == pair.run_frame(1, 0, FRAME_S, HELD[0]).intermediate_bytes
    with pytest.raises(NodeError, match=r"no part of the cut after 4 layers"):
        pair.use_part(4, warmup=0)


def test_parts_of_splits_that_are_held_are_delivered_again_and_not_opened(shared: Pair) -> None:
    for place, layers in enumerate((2, 3)):
        shared.load_edge(layers, threads=1, warmup=0, keep=(2, 3)[:place])
        shared.receive_part(layers, FRAME_S)
        shared.open_part(1, 0, keep=(2, 3)[:place])
    for layers in (2, 3):
        shared.receive_part(layers, FRAME_S)
        assert shared.run_frame(layers, 0, FRAME_S, layers).max_abs_diff <= 1e-6
    shared.load_edge(4, threads=1, warmup=0)
    with pytest.raises(NodeError, match="part 1 of the cut after 3 layers is not ready"):
        shared.receive_part(3, FRAME_S)


def test_more_splits_than_the_limit_are_refused_with_its_name(tmp_path: Path) -> None:
    stored = store(load_graph(small_model(tmp_path / "small.onnx")), tmp_path / "stored")
    host = NodeHost("ue", tmp_path, Limits(sessions=2))
    options = nodes_pb2.SessionOptions(threads=1, keep=(2, 3))
    cuts = [
        CutPart(extract(stored, layers)[0], layers, info_of(stored.graph, "tensors", "onnx"))
        for layers in (2, 3, 4)
    ]
    for cut in (*cuts[:2], cuts[1]):  # the same again takes its own place
        host.load(cut, options, 0)
    with pytest.raises(NodeError, match=r"2 sessions open.*limits\.sessions"):
        host.load(cuts[2], options, 0)
    assert [host.part_of(layers).cut.layers for layers in (2, 3)] == [2, 3]
    host.drop()


def test_a_cut_has_the_codecs_that_were_kept_and_a_frame_names_one(pair: Pair) -> None:
    pair.use_codec(nodes_pb2.CodecRequest(codec="fp16", layers=2, keep=["raw"]))
    sizes = [pair.run_frame(0, 0, FRAME_S, 2, codec).encoded_bytes for codec in ("raw", "fp16", "")]
    assert sizes[0] == 2 * sizes[1] == 2 * sizes[2]
    pair.use_codec(nodes_pb2.CodecRequest(codec="zstd", layers=2))
    with pytest.raises(NodeError, match="'raw' was asked for, this cut has zstd"):
        pair.run_frame(0, 0, FRAME_S, 2, "raw")
