"""What `orchestrate compare` says of runs that are known."""

import json
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from orchestrator.checks.compare import compare
from orchestrator.checks.told import told_apart
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
    for folder, ms in zip(runs, (1000, 1030), strict=True):
        add_cell(folder, "3:3", [ms + place for place in range(10)])
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


def test_a_row_that_failed_is_in_the_run_that_has_frames_of_it_and_in_no_other(
    tmp_path: Path,
) -> None:
    a, b = (made_run(tmp_path / name) for name in "ab")
    for folder, split in ((a, "3:0"), (b, "3:0"), (b, "2:2")):
        add_cell(folder, split, [], error="the edge node died")
    add_cell(a, "2:2", [10.0] * 3)
    assert [*compare(read(a.path), read(b.path)).only] == [
        f"only in {a.path}: 2:2 at 8 Mbit/s",
        "without a frame in both: 3:0 at 8 Mbit/s",
    ]


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


def test_a_disturbed_row_is_neither_faster_nor_slower(tmp_path: Path) -> None:
    a, b = (made_run(tmp_path / name, scale=s) for name, s in (("a", 1), ("b", 1.5)))
    add_cell(b, "1:1", [75.0, 76, 77], machine={"others_share": 0.9, "steal_share": 0.0})
    found = compare(read(a.path), read(b.path))
    assert {c.point.split: c.word for c in found.changes}["1:1"] == "disturbed"
    assert "2 slower, 0 noise, 1 disturbed" in found.overall
    assert any("1 of 3 rows of" in remark for remark in found.remarks)


def runs(rng: np.random.Generator, *shifts: float, rows: int = 20) -> list[list[list[float]]]:
    """Two runs of the same thing, 20 frames of each row; the second is slower by so much a row."""
    medians = 20 * 1.3 ** np.arange(rows)
    second = np.resize(shifts, rows)
    return [
        [
            (ms * (1 + by) * np.exp(0.03 * rng.standard_normal(20))).tolist()
            for ms, by in zip(medians, of_run, strict=True)
        ]
        for of_run in (np.zeros(rows), second)
    ]


@pytest.mark.parametrize("rows", [1, 3, 20, 51])
@pytest.mark.parametrize("shift", [0.0, 0.01, -0.01])
def test_a_run_and_the_same_again_have_nothing_to_tell_in_95_of_100_pairs(
    shift: float, rows: int
) -> None:
    rng = np.random.default_rng(rows)
    pairs = [runs(rng, shift, rows=rows) for _ in range(100)]
    found = [told_apart([*zip(*pair, strict=True)]) for pair in pairs]
    assert sum(any(row.word != "noise" for row in told) for told in found) <= 5


def test_rows_that_scatter_from_run_to_run_are_noise_too() -> None:
    rng = np.random.default_rng(5)
    pairs = [runs(rng, *rng.normal(0.01, 0.01, 20)) for _ in range(100)]
    found = [told_apart([*zip(*pair, strict=True)]) for pair in pairs]
    assert sum(any(row.word != "noise" for row in told) for told in found) <= 5


def test_a_row_that_differs_is_told_beside_a_shift_that_all_share() -> None:
    rng = np.random.default_rng(6)
    told = told_apart([*zip(*runs(rng, *[0.01] * 19, 0.1), strict=True)])
    assert [row.word for row in told] == ["noise"] * 19 + ["slower"]


def test_what_all_rows_share_is_told_of_each_where_runs_do_not_shift_so_far() -> None:
    rng = np.random.default_rng(7)
    told = told_apart([*zip(*runs(rng, 0.2), strict=True)])
    assert {row.word for row in told} == {"slower"}


def test_of_few_frames_it_says_about_how_many_more_would_tell() -> None:
    (told,) = told_apart([([100.0, 120, 110, 90], [130.0, 118, 140, 105])])
    assert (told.word, told.more) == ("noise", 18)


@pytest.mark.parametrize(
    ("row", "others", "word"),
    [
        (1.009, 1.0, "noise"),
        (1.011, 1.0, "slower"),
        (0.991, 1.0, "noise"),
        (0.989, 1.0, "faster"),
        (1.03, 1.03, "noise"),
        (1.039, 1.039, "noise"),
        (1.041, 1.041, "slower"),
        (1.0, 1.03, "noise"),  # it only resists what the others did
    ],
)
def test_a_change_is_told_just_beyond_its_limits(row: float, others: float, word: str) -> None:
    frames = [1e4 + place for place in range(20)]
    pairs = [(frames, [ms * by for ms in frames]) for by in (row, others, others)]
    assert told_apart(pairs)[0].word == word


def test_what_was_not_sustained_is_not_compared_by_its_times(tmp_path: Path) -> None:
    a, b = (read(made_run(tmp_path / name).path) for name in "ab")
    (point, row), *_ = b.by_point.items()
    b.by_point[point] = replace(row, sustained=False)
    found = compare(a, b)
    assert point not in [change.point for change in found.changes]
    assert [*found.only] == [f"not compared, not sustained in {b.name}: {point.words}"]
