"""What is measured stays readable, whatever happens to the run."""

import json
from pathlib import Path

import pytest

from orchestrator.results.run_folder import SCHEMA, RunFolder, create
from splitbed.errors import RunError, UsageError


def test_lines_come_back_in_order(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    for frame in range(3):
        folder.add_sample({"frame": frame})
    assert [sample["frame"] for sample in folder.samples()] == [0, 1, 2]


def test_half_a_line_of_a_killed_run_costs_that_line_only(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.add_sample({"frame": 0})
    with (tmp_path / "samples.jsonl").open("a") as file:
        file.write('{"frame": 1, "e2')
    folder.add_sample({"frame": 2})
    assert [sample["frame"] for sample in folder.samples()] == [0, 2]


@pytest.mark.parametrize("name", ["samples.jsonl", "cells.jsonl"])
def test_a_full_disk_is_named_with_the_way_to_go_on(tmp_path: Path, name: str) -> None:
    folder = RunFolder(tmp_path)
    (tmp_path / name).symlink_to("/dev/full")
    with pytest.raises(RunError, match=r"No space left on device.*--resume"):
        (folder.add_sample if name.startswith("samples") else folder.add_cell)({"frame": 0})


def test_a_folder_without_a_run_cannot_be_resumed(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is no run"):
        RunFolder(tmp_path).read_run()


def test_a_run_of_a_newer_schema_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(json.dumps({"schema": SCHEMA + 1}))
    with pytest.raises(UsageError, match=f"newer Splitbed.*schema {SCHEMA + 1}.*install"):
        RunFolder(tmp_path).read_run()


def test_a_run_that_says_no_schema_is_one_of_the_first_and_is_read(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"asked": {}}')
    assert RunFolder(tmp_path).read_run() == {"asked": {}}


@pytest.mark.parametrize("text", ["", "{", "[1, 2]", '{"schema": []}', "[" * 100_000])
def test_a_damaged_run_json_is_told_as_such(tmp_path: Path, text: str) -> None:
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(UsageError, match=r"run\.json is damaged"):
        RunFolder(tmp_path).read_run()


@pytest.mark.parametrize("line", [b'{"frame": 1, "e2', b"\xff\xfe", b"7", b"[" * 100_000])
def test_a_damaged_line_is_left_out_and_named(tmp_path: Path, line: bytes) -> None:
    folder = RunFolder(tmp_path)
    folder.add_sample({"frame": 0})
    with (tmp_path / "samples.jsonl").open("ab") as file:
        file.write(line)
    folder.add_sample({"frame": 2})
    assert [sample["frame"] for sample in folder.samples()] == [0, 2]
    assert folder.damage() == [f"{tmp_path / 'samples.jsonl'}, line 2, is damaged and left out"]


def test_cells_come_in_the_order_of_the_grid_and_the_last_attempt_counts(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.write_run({"grid": ["a", "b", "c"]})
    for key, attempt in (("c", "1"), ("a", "2"), ("c", "3")):
        folder.add_cell({"key": key, "attempt": attempt})
    assert [(cell["key"], cell["attempt"]) for cell in folder.counted()] == [("a", "2"), ("c", "3")]


def test_a_cell_that_lost_a_frame_is_measured_again(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    for key, frames in (("a", 2), ("b", 3)):
        folder.add_cell({"key": key, "attempt": key, "error": None, "frames": frames})
        for frame in range(2):
            folder.add_sample({"attempt": key, "frame": frame})
    assert folder.ended() == {"a"}


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


def test_a_sweep_that_was_killed_as_it_began_leaves_its_folder_free(tmp_path: Path) -> None:
    (tmp_path / ".lock").touch()
    (tmp_path / ".run.json.draft").write_text("{")
    assert create(tmp_path, "m").path == tmp_path


def test_a_cell_whose_frames_are_lost_is_measured_again(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    for key in ("a", "b"):
        folder.add_cell({"key": key, "attempt": key, "error": None})
    folder.add_cell({"key": "c", "attempt": "c", "error": "the ue node died"})
    folder.add_sample({"attempt": "a", "frame": 0})
    assert folder.ended() == {"a"}
