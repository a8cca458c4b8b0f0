"""Both parts of a cut as files, and what crosses it."""

import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from orchestrator.api.asking import config_of
from orchestrator.testbed.local import local_model
from splitbed.tensors import Tensors
from splitbed.wire import max_abs_diff
from tests.orchestrator.commands import orchestrate


def run(file: Path, feeds: Tensors) -> Tensors:
    session = onnxruntime.InferenceSession(file)
    names = [one.name for one in session.get_outputs()]
    return dict(zip(names, session.run(names, feeds), strict=True))


def test_part_2_of_what_crosses_is_what_the_whole_model_gives(tmp_path: Path) -> None:
    words = ["--model", "shapesnet", "--split", "stage2", "--input", "shapes", "--frames", "2"]
    done = orchestrate("cut", *words, "--out", str(tmp_path / "cut"), "--json")
    assert done.code == 0, done.err
    made = json.loads(done.out)
    assert [Path(one).name for one in made["crossing"]] == ["000000.png.npz", "000001.png.npz"]
    crosses = dict(np.load(made["crossing"][0]))
    first = onnxruntime.InferenceSession(made["part1"])
    assert {one.name for one in first.get_outputs()} == {*crosses}
    assert made["around"] == []
    results = run(Path(made["part2"]), crosses)
    config = config_of("shapesnet", {"input": "shapes"})
    with local_model(config) as local, local.whole() as session:
        whole = session.run(local.inputs[0].tensors)
    assert {*results} == {*whole}
    assert max_abs_diff(results, whole) < 1e-4


def test_without_an_input_the_parts_alone_are_written(tmp_path: Path) -> None:
    done = orchestrate("cut", "--model", "shapesnet", "--split", "stage1", "--out", str(tmp_path))
    assert done.code == 0, done.err
    assert sorted(one.name for one in tmp_path.iterdir()) == [
        "shapesnet_part1.onnx", "shapesnet_part2.onnx",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("split", "says"), [("all", "name one of them"), ("0:44", "no cut within")]
)
def test_only_one_cut_within_the_model_is_written(tmp_path: Path, split: str, says: str) -> None:
    done = orchestrate(
        "cut", "--model", "shapesnet", "--split", split, "--out", str(tmp_path / "c")
    )
    assert done.code == 2
    assert says in done.err
    assert not (tmp_path / "c").exists()


def test_no_file_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("kept")
    done = orchestrate("cut", "--model", "shapesnet", "--split", "stage1", "--out", str(tmp_path))
    assert done.code == 2
    assert "not an empty folder" in done.err
