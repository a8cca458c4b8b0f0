"""What `orchestrate compare` says of runs that are known."""

import json
from pathlib import Path

import pytest

from orchestrator.checks.compare import compare
from orchestrator.results.reading import read
from tests.orchestrator.commands import orchestrate
from tests.orchestrator.made_runs import FRAMES_MS, MODEL, made_run
from tests.orchestrator.results.test_summary import add_cell


@pytest.mark.parametrize(
    ("scale", "word"), [(1.0, "noise"), (1.03, "noise"), (1.2, "slower"), (0.8, "faster")]
)
def test_a_row_is_faster_slower_or_noise(tmp_path: Path, scale: float, word: str) -> None:
    a, b = (made_run(tmp_path / name, scale=s) for name, s in (("a", 1), ("b", scale)))
    found = compare(read(a.path), read(b.path))
    assert {change.word for change in found.changes} == {word}
    assert [change.ratio for change in found.changes] == pytest.approx([scale] * 3, rel=1e-4)


def test_of_many_frames_a_smaller_change_is_told(tmp_path: Path) -> None:
    runs = [made_run(tmp_path / name) for name in "ab"]
    for folder, ms in zip(runs, (100, 103), strict=True):
        add_cell(folder, "3:3", [ms + 0.1 * place for place in range(10)])
    words = {c.point.split: c.word for c in compare(*(read(run.path) for run in runs)).changes}
    assert words == dict.fromkeys(FRAMES_MS, "noise") | {"3:3": "slower"}


def test_the_stage_that_changed_most_is_named(tmp_path: Path) -> None:
    a, b = (made_run(tmp_path / name, scale=s) for name, s in (("a", 1), ("b", 1.5)))
    change = compare(read(a.path), read(b.path)).changes[0]
    assert change.stage == "uplink +50.5 ms"


def test_rows_that_one_run_lacks_and_another_model_are_said(tmp_path: Path) -> None:
    a = made_run(tmp_path / "a")
    b = made_run(tmp_path / "b", run={"model": MODEL | {"sha256": "e" * 64, "inputs": []}})
    add_cell(b, "2:2", [10.0] * 3)
    found = compare(read(a.path), read(b.path))
    assert [*found.only] == [f"only in {b.path}: 2:2 at 8 Mbit/s"]
    assert any("the models differ" in remark for remark in found.remarks)
    assert "the inputs differ" in found.remarks


def test_several_runs_are_each_held_against_the_first(tmp_path: Path) -> None:
    folders = [made_run(tmp_path / str(scale), scale=scale).path for scale in (1, 2, 3)]
    done = orchestrate("compare", *map(str, folders), "--json")
    assert done.code == 0, done.err
    ratios = [one["rows"][0]["ratio"] for one in json.loads(done.out)]
    assert ratios == pytest.approx([2, 3], rel=1e-3)


def test_the_table_has_both_medians_with_their_intervals(tmp_path: Path) -> None:
    a, b = (made_run(tmp_path / name, scale=s) for name, s in (("a", 1), ("b", 1.5)))
    done = orchestrate("compare", str(a.path), str(b.path))
    assert done.code == 0, done.err
    assert "101.0 (100.0–102.0)" in done.out
    assert "3 slower" in done.out
