"""What codecs cost in accuracy, judged on a set of frames of its own."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from orchestrator.ask.configuration import Configuration
from orchestrator.ask.sweep.config import sweep_config
from orchestrator.measure.accuracy_set import AccuracySet, Coded
from orchestrator.offline.call import points
from orchestrator.results.records import Accuracy
from orchestrator.testbed.model import Known, SweptModel, load_model

N = 44  # layers of shapesnet
LOSSY = [
    Configuration(19, N, "stage2", "fp16"),
    Configuration(0, N, "network anchor", "avc-inter:40"),
]


def loaded(folder: Path, **options: object) -> tuple[SweptModel, AccuracySet]:
    config = sweep_config({"model": "shapesnet", "runs": 3, "accuracy_frames": 24} | options)
    model = load_model(config, folder)
    return model, AccuracySet(config, model, lambda: None, lambda _: None)


def test_every_codec_is_judged_once_on_more_frames_than_are_measured(tmp_path: Path) -> None:
    model, frames = loaded(tmp_path, calibration="shapes")
    assert (len(model.inputs), frames.most) == (3, 100)
    again = [*LOSSY, *LOSSY, Configuration(19, N, "stage2", "raw")]  # links and paces
    asked, found = zip(*frames.coded(again, Known()), strict=True)
    assert [one.codec for one in asked] == ["fp16", "avc-inter:40"]
    half, video = (one.accuracy for one in found)
    assert (frames.judge.whole.frames, half.frames, video.frames) == (24, 24, 23)
    # the first frame that is not measured is one that the video codec is calibrated on
    assert half.drop_low is not None
    assert half.drop_high is not None
    assert half.drop_low <= half.drop_high < 0.01
    assert video.drop is not None
    assert video.drop_high is not None
    assert 0.01 < video.drop <= video.drop_high


def test_what_codes_the_input_before_part_1_is_judged_with_it(tmp_path: Path) -> None:
    _, frames = loaded(tmp_path)
    split = Configuration(19, N, "stage2", flow="downlink")
    fine = replace(split, codec="fp16", input_codec="raw")
    poor = replace(split, codec="raw", input_codec="avc:50")
    whole = Configuration(N, N, "network anchor", "avc:50", flow="downlink")
    found = {one: coded.accuracy.drop for one, coded in frames.coded([fine, poor, whole], Known())}
    assert found[fine] == pytest.approx(0, abs=0.01)
    assert found[poor] == found[whole]
    assert (found[poor] or 0) > 0.01


def test_in_a_call_what_the_network_makes_is_coded_again(tmp_path: Path) -> None:
    """As `orchestrate call` has it, which goes another way there."""
    small = {"model": "espcn", "input": "shapes", "shape": "luma=1x1x96x128", "runs": 3}
    config = sweep_config(
        small | {"input_codec": "avc:30", "output_codec": "avc:20", "flow": "call"}
    )
    model, frames = loaded(tmp_path, **small, accuracy_frames=3)
    n = model.graph.n
    network = Configuration(n, n, "", "avc:20", flow="call", input_codec="avc:30")
    ue_b = Configuration(0, n, "", "avc:30", flow="call")
    found = {one: coded.accuracy.more for one, coded in frames.coded([network, ue_b], Known())}
    held = {(one.upscaler, one.where): one.psnr_db for one in points(config)}
    assert found[network]["psnr_db"] == pytest.approx(held["espcn", "network"])
    assert found[ue_b]["psnr_db"] == pytest.approx(held["espcn", "ue-b"])


def test_of_few_pictures_a_loss_has_no_interval(tmp_path: Path) -> None:
    _, frames = loaded(tmp_path, accuracy_frames=19)
    ((_, found),) = frames.coded(LOSSY[:1], Known())
    assert found.accuracy.drop == pytest.approx(0, abs=0.01)
    assert (found.accuracy.drop_low, found.accuracy.drop_high) == (None, None)


def test_what_comes_over_the_link_is_held_against_what_was_judged() -> None:
    coded = Coded(Accuracy("AP"), {0: {"y": np.zeros(3, np.float32)}})
    assert coded.difference(0, {"y": np.array([0, 0.5, 0], np.float32)}) == 0.5
    assert coded.difference(0, {"y": np.zeros(4, np.float32)}) == float("inf")
    assert coded.difference(1, {"y": np.zeros(3, np.float32)}) is None


def test_codecs_that_cannot_be_are_told_and_left_out(tmp_path: Path) -> None:
    told: list[str] = []
    config = sweep_config({"model": "shapesnet", "accuracy_frames": 2})
    frames = AccuracySet(config, load_model(config, tmp_path), lambda: None, told.append)
    uncalibrated = Configuration(19, N, "stage2", "int8")
    assert [*frames.coded([uncalibrated], Known())] == []
    assert any("int8" in line and "calibrat" in line for line in told)
