"""Lossless verification: what passes, what fails, and what cannot be asked."""

import csv
import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from PIL import Image

from tests.orchestrator.commands import orchestrate

POSENET = ("--model", "posenet", "--width", "0.5")  # the quickest


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    for name in ("a.png", "b.jpg"):
        Image.fromarray(rng.integers(0, 256, (90, 120, 3), np.uint8)).save(folder / name)
    return folder


@pytest.mark.parametrize("runtime", ["tflite", "onnx"])
def test_posenet_is_lossless_at_every_split_on_either_runtime(pictures: Path, runtime: str) -> None:
    done = orchestrate("verify", *POSENET, "--images", str(pictures), "--runtime", runtime)
    assert done.code == 0
    *checks, last = done.out.splitlines()
    assert len(checks) == 2 * 32
    assert all(line.startswith("PASSED: ") for line in checks)
    assert {line.split()[1] for line in checks} == {f"{k}:{31 - k}" for k in range(32)}
    assert "64 of 64 passed" in last
    assert "seeded (seed 0)" in last


def test_key_points_and_scores_are_what_is_compared(pictures: Path) -> None:
    done = orchestrate("verify", *POSENET, "--split", "5:26", "--images", str(pictures), "--json")
    (first, _) = json.loads(done.out)
    for result in ("best_keypoints", "best_scores", "keypoints", "keypoint_scores"):
        assert result in first["differences"]


def noisy_model(path: Path) -> str:
    """A model whose noise depends on its node's place: behind a cut it is another."""
    nodes = [
        helper.make_node("Relu", ["x"], ["z"], "relu"),
        helper.make_node("RandomNormalLike", ["z"], ["noise"], "noise"),
        helper.make_node("Add", ["z", "noise"], ["y"], "add"),
    ]
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 64]) for name in "xy"]
    graph = helper.make_graph(nodes, "noisy", values[:1], values[1:])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), path)
    return str(path)


def test_a_split_that_differs_fails_with_the_difference_and_exit_1(tmp_path: Path) -> None:
    done = orchestrate("verify", "--model", noisy_model(tmp_path / "noisy.onnx"))
    assert done.code == 1
    lines = done.out.splitlines()
    assert lines[0] == "PASSED: 0:3 random (seed 0)"
    assert lines[1].startswith("FAILED: 1:2 random (seed 0) (y ")
    assert lines[-1].startswith("FAILED: ")
    assert done.err == "random numbers are drawn by 'noise', so that no two runs give the same\n"


def test_the_file_has_a_row_per_picture_and_split_and_is_not_overwritten(
    pictures: Path, tmp_path: Path
) -> None:
    words = ["verify", *POSENET, "--split", "3:28,30:1", "--images", str(pictures)]
    out = tmp_path / "new" / "checks.csv"
    assert orchestrate(*words, "--out", str(out)).code == 0
    with out.open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["split"], row["picture"], row["verdict"]) for row in rows] == [
        (split, name, "PASSED") for split in ("3:28", "30:1") for name in ("a.png", "b.jpg")
    ]
    again = orchestrate(*words, "--out", str(out))
    assert again.code == 2
    assert "is there already" in again.err


def test_a_damaged_picture_is_refused_in_one_line(tmp_path: Path, pictures: Path) -> None:
    whole = (pictures / "b.jpg").read_bytes()
    (tmp_path / "torn.jpg").write_bytes(whole[: len(whole) // 2])
    done = orchestrate("verify", *POSENET, "--images", str(tmp_path))
    assert done.code == 2
    assert "torn.jpg" in done.err
    assert len(done.err.strip().splitlines()) == 1


def test_a_split_out_of_range_is_refused() -> None:
    done = orchestrate("verify", *POSENET, "--split", "32:-1")
    assert done.code == 2
    assert orchestrate("verify", *POSENET, "--split", "32:1").code == 2
