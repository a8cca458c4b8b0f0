"""What is measured stays readable, whatever happens to the run."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from netem.spec import symmetric
from orchestrator.results import json_record, run_folder
from orchestrator.results.journal import Journal
from orchestrator.results.records import SCHEMA, CellRecord, FrameRecord, RunRecord
from orchestrator.results.run_folder import RunFolder, create
from splitbed.errors import RunError, UsageError
from splitbed.timeline import Stage


def frame(number: int, attempt: str = "a") -> FrameRecord:
    return FrameRecord(attempt=attempt, frame=number, stages=(Stage("part1", 0, 5),))


def cell(key: str, attempt: str = "", **changed: Any) -> CellRecord:
    """An ended cell, by default of two frames."""
    told: dict[str, Any] = {
        "key": key,
        "attempt": attempt or key,
        "split": "1:1",
        "split_name": key,
        "frames": 2,
    }
    return CellRecord(**told | {"link": symmetric(rate_mbit=8)} | changed)


def journal(path: Path, *grid: str) -> Journal:
    return Journal(RunFolder(path), RunRecord(grid=grid))


def numbers(path: Path) -> list[int]:
    return [one.frame for one in RunFolder(path).frames()]


def test_frames_come_back_in_order(tmp_path: Path) -> None:
    with journal(tmp_path) as written:
        for number in range(3):
            written.add_frame(frame(number))
    assert numbers(tmp_path) == [0, 1, 2]


def test_half_a_line_of_a_killed_run_costs_that_line_only(tmp_path: Path) -> None:
    with journal(tmp_path) as written:
        written.add_frame(frame(0))
    with (tmp_path / "samples.jsonl").open("a") as file:
        file.write('{"frame": 1, "e2')
    with journal(tmp_path) as written:
        written.add_frame(frame(2))
    assert numbers(tmp_path) == [0, 2]


@pytest.mark.parametrize("name", ["samples.jsonl", "cells.jsonl", "summary.csv"])
def test_a_full_disk_is_named_with_the_way_to_go_on(tmp_path: Path, name: str) -> None:
    with journal(tmp_path) as written:
        (tmp_path / name).unlink(missing_ok=True)
        (tmp_path / name).symlink_to("/dev/full")
        with pytest.raises(RunError, match=r"No space left on device.*--resume"):
            if name == "samples.jsonl":
                written.add_frame(frame(0))
            else:
                written.add_cell(cell("a"))


def test_a_folder_without_a_run_cannot_be_resumed(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is no run"):
        RunFolder(tmp_path).read_run()


def test_a_run_of_a_newer_schema_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(json.dumps({"schema": SCHEMA + 1}))
    with pytest.raises(UsageError, match=f"newer Splitbed.*schema {SCHEMA + 1}.*install"):
        RunFolder(tmp_path).read_run()


def test_a_run_that_says_no_schema_is_one_of_the_first_and_is_read(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"asked": {}}')
    assert RunFolder(tmp_path).read_run() == RunRecord()


@pytest.mark.parametrize(
    "text",
    ["", "{", "[1, 2]", '{"schema": []}', '{"grid": 5}', "[" * 100_000],
)
def test_a_damaged_run_json_is_told_as_such(tmp_path: Path, text: str) -> None:
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(UsageError, match=r"run\.json is damaged"):
        RunFolder(tmp_path).read_run()


@pytest.mark.parametrize(
    "line", [b'{"frame": 1, "e2', b"\xff\xfe", b"7", b'{"frame": 1}', b"[" * 100_000]
)
def test_a_damaged_line_is_left_out_and_named(tmp_path: Path, line: bytes) -> None:
    folder = RunFolder(tmp_path)
    folder.append("samples.jsonl", frame(0).line())
    folder.append("samples.jsonl", line)
    folder.append("samples.jsonl", frame(2).line())
    assert numbers(tmp_path) == [0, 2]
    assert folder.contents().damage == (
        f"{tmp_path / 'samples.jsonl'}, line 2, is damaged and left out",
    )


def test_what_is_longer_than_any_of_ours_is_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = RunFolder(tmp_path)
    for number in range(2):
        folder.append("samples.jsonl", frame(number).line())
        folder.append("samples.jsonl", frame(number, "b" * 500).line())
    monkeypatch.setattr(run_folder, "MOST_LINE_BYTES", 400)
    assert numbers(tmp_path) == [0, 1]
    folder.write_run(RunRecord())
    assert folder.read_run() == RunRecord()
    monkeypatch.setattr(json_record, "MOST_BYTES", 10)
    with pytest.raises(UsageError, match=r"run\.json is damaged"):
        folder.read_run()


def test_cells_come_in_the_order_of_the_grid_and_the_last_attempt_counts(tmp_path: Path) -> None:
    with journal(tmp_path, "a", "b", "c") as written:
        for key, attempt in (("c", "1"), ("a", "2"), ("c", "3")):
            written.add_cell(cell(key, attempt))
    for found in (written, journal(tmp_path, "a", "b", "c")):
        assert [(one.key, one.attempt) for one in found.cells] == [("a", "2"), ("c", "3")]
        assert found.count == 3


def test_a_cell_is_measured_again_unless_it_ended_with_all_its_frames(tmp_path: Path) -> None:
    with journal(tmp_path) as written:
        for key in ("a", "lost a frame", "lost them"):
            for number in range(0 if key == "lost them" else 2):
                written.add_frame(frame(number, key))
            written.add_cell(cell(key, frames=3 if key == "lost a frame" else None))
        written.add_cell(cell("failed", error="the ue node died"))
    assert written.ended == journal(tmp_path).ended == {("a", 0)}


def summary(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((path / "summary.csv").open()))


def test_a_run_that_is_killed_has_a_row_of_every_cell_that_ended(tmp_path: Path) -> None:
    written = journal(tmp_path)
    for key in ("a", "b"):
        written.add_frame(frame(0, key))
        written.add_cell(cell(key, frames=1))
        written.add_frame(frame(1, "of a cell that never ends"))
    assert [row["split_name"] for row in summary(tmp_path)] == ["a", "b"]


def test_a_cell_that_is_measured_again_has_one_row(tmp_path: Path) -> None:
    with journal(tmp_path) as written:
        written.add_cell(cell("a", error="the ue node died"))
    with journal(tmp_path) as written:
        written.add_frame(frame(0, "again"))
        written.add_cell(cell("a", "again", frames=1))
    assert [row["frames"] for row in summary(tmp_path)] == ["1"]


def test_only_one_sweep_at_a_time_writes_to_a_folder(tmp_path: Path) -> None:
    with (
        RunFolder(tmp_path).locked(),
        pytest.raises(UsageError, match="another sweep"),
        RunFolder(tmp_path).locked(),
    ):
        pytest.fail("both got in")
    with RunFolder(tmp_path).locked():
        assert not RunFolder(tmp_path).exists


def test_a_folder_that_holds_something_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="not an empty folder"):
        create(tmp_path, "m")
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_only_a_scenario_of_sweeps_is_said_to_go_on(tmp_path: Path) -> None:
    (tmp_path / "scenario.yaml").touch()
    with pytest.raises(UsageError) as models:
        create(tmp_path, "m")
    (tmp_path / "sweep").mkdir()
    (tmp_path / "sweep" / "run.json").touch()
    with pytest.raises(UsageError, match=r"scenario run .* --resume"):
        create(tmp_path, "m")
    assert "--resume" not in str(models.value)


def test_a_sweep_that_was_killed_as_it_began_leaves_its_folder_free(tmp_path: Path) -> None:
    (tmp_path / ".lock").touch()
    (tmp_path / ".run.json.draft").write_text("{")
    assert create(tmp_path, "m").path == tmp_path
