"""Frames through real node processes over real gRPC."""

import os
import signal
import threading
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from netem.spec import symmetric
from splitbed import timeline
from splitbed.errors import NodeError
from splitbed.timeline import END_TO_END, Stage, Timeline
from tests.node.loopback import FRAME_S, LAYERS, Splits, loopback_pair
from tests.shared_machine import within


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Splits]:
    with loopback_pair(tmp_path_factory.mktemp("pair")) as both:
        yield Splits(*both, warmup=1)


@pytest.fixture
def shared(pair: Splits) -> Splits:
    return pair.alive()


@pytest.mark.parametrize("layers", range(LAYERS + 1))
def test_every_cut_gives_the_whole_models_output(shared: Splits, layers: int) -> None:
    shared.load(layers)
    record = shared.run(7)
    assert record.frame == 7
    assert dict(record.results) == {"scores": 1}
    if layers < LAYERS:
        assert record.max_abs_diff <= 1e-6
        assert record.intermediate_bytes == shared.model.graph.cuts[layers].nbytes


def test_frames_cross_ipv6_as_they_do_ipv4(tmp_path: Path) -> None:
    with loopback_pair(tmp_path, address="::1") as (pair, model):
        (splits := Splits(pair, model)).load(2)
        assert splits.run().max_abs_diff <= 1e-6
        # loopback is no link of 5 Mbit/s, but the connection is found, and so is its interface
        assert pair.proofs.prove(0, symmetric(rate_mbit=5, delay_ms=1, jitter_ms=1)).tcp.mss_bytes
        assert pair.ue.mtu == pair.edge.mtu > 0


def test_the_stages_of_a_frame_follow_one_another_and_explain_its_time(
    shared: Splits,
) -> None:
    shared.load(2)

    def gap_share() -> float:
        record = shared.run()
        stages = [Stage(s.name, s.start_ns, s.end_ns) for s in record.stages]
        assert [stage.name for stage in stages[1:]] == list(END_TO_END)
        assert all(a.end_ns <= b.start_ns for a, b in pairwise(stages))
        assert all(stage.end_ns >= stage.start_ns for stage in stages)
        return Timeline(stages).gap_share

    # loopback leaves so little time on the link that the hand-overs show; a link hides them
    within(0, gap_share, 0.2)


def test_part_sizes_are_those_of_each_sides_weights(shared: Splits) -> None:
    shared.load(0)
    whole = shared.parts.loaded
    shared.load(2)
    halves = shared.parts.loaded
    w1_bytes, w2_bytes = 8 * 3 * 9 * 4, 8 * 8 * 9 * 4
    assert whole.part1_bytes == 0
    assert w1_bytes < halves.part1_bytes < w2_bytes < halves.part2_bytes
    assert whole.part2_bytes >= w1_bytes + w2_bytes


def test_warming_the_link_leaves_the_stream_usable(shared: Splits) -> None:
    shared.load(2)
    for nbytes in (0, 1, 1_000_000):
        shared.pair.warm_link({"uplink": nbytes}, FRAME_S)
    assert shared.run(3).frame == 3


def test_an_input_that_was_never_added_is_refused(shared: Splits) -> None:
    shared.load(2)
    with pytest.raises(NodeError, match="no input 5"):
        shared.pair.ways.run_frame(0, 5, FRAME_S, shared.parts.assignment(shared.last))


def test_a_picture_of_a_large_camera_is_taken(tmp_path: Path) -> None:
    picture = tmp_path / "large.png"
    pixels = np.random.default_rng(0).integers(0, 256, (1500, 1500, 3), np.uint8)
    Image.fromarray(pixels).save(picture)
    assert picture.stat().st_size > 6_000_000
    with loopback_pair(tmp_path, picture=picture) as both:
        (splits := Splits(*both)).load(2)
        assert splits.run().max_abs_diff <= 1e-6


def test_a_node_that_returns_the_wrong_shape_is_refused_with_both_shapes(tmp_path: Path) -> None:
    with loopback_pair(tmp_path, "tests.node.wrong_edge") as both:
        (splits := Splits(*both)).load(2)
        says = r"sent scores FP32\[1, 7, 1, 1\]; expected scores FP32\[1, 8, 1, 1\]"
        with pytest.raises(NodeError, match=says):
            splits.run()


def test_where_the_kernel_has_no_time_namespaces_all_of_a_machine_share_a_clock(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with_them = timeline.clock_id()
    monkeypatch.setattr(timeline, "_TIME_NAMESPACE", tmp_path / "time")
    assert timeline.clock_id() == timeline.clock_id() != with_them
    assert with_them.startswith(timeline.clock_id())


def test_a_node_that_hangs_is_told_when_the_time_is_up_and_a_restart_mends_it(
    shared: Splits,
) -> None:
    shared.load(2)
    for side in ("edge", "ue"):
        os.kill(pid := getattr(shared.pair, side).pid, signal.SIGSTOP)
        with pytest.raises(NodeError, match="hung"):
            shared.run(timeout_s=1.0)
        if side == "edge":  # which goes on; what was given up took the stream with it
            os.kill(pid, signal.SIGCONT)
            shared.load(2)
    shared.restart()
    assert shared.run(1).frame == 1


def test_a_node_that_dies_is_named_with_its_signal_and_a_restart_mends_it(shared: Splits) -> None:
    shared.load(2)
    os.kill(shared.pair.ue.pid, signal.SIGKILL)
    with pytest.raises(NodeError, match=r"the ue node died.*signal 9"):
        shared.run()
    shared.restart()
    assert shared.run(1).frame == 1


def test_an_edge_that_dies_in_the_middle_of_a_frame_is_told_at_once(shared: Splits) -> None:
    shared.load(2)
    os.kill(shared.pair.edge.pid, signal.SIGSTOP)
    killer = threading.Timer(0.5, os.kill, (shared.pair.edge.pid, signal.SIGKILL))
    killer.start()
    with pytest.raises(NodeError, match=r"the edge node died.*signal 9") as told:
        shared.run()
    assert "hung" not in str(told.value)  # as it is said once the time is up
