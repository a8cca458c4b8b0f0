"""What a killed run left is removed, and nothing else."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from orchestrator.testbed.scratch import remove_abandoned, scratch


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture
def sleeper() -> Iterator["subprocess.Popen[bytes]"]:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


def abandoned(temporary: Path, processes: str) -> Path:
    (folder := temporary / "splitbed-dead").mkdir()
    (folder / "lock").touch()
    (folder / "processes.jsonl").write_text(processes)
    return folder


def test_a_folder_goes_when_its_run_ends(temporary: Path) -> None:
    with scratch() as space:
        assert space.folder.parent == temporary
    assert list(temporary.iterdir()) == []


def test_a_run_that_lives_is_left_alone(temporary: Path) -> None:
    with scratch() as space:
        assert remove_abandoned() == []
        assert space.folder.exists()


def test_a_process_that_outlived_its_run_is_ended(
    temporary: Path, sleeper: "subprocess.Popen[bytes]"
) -> None:
    started = psutil.Process(sleeper.pid).create_time()
    folder = abandoned(temporary, f'{{"pid": {sleeper.pid}, "started": {started}}}\n')
    (found,) = remove_abandoned()
    assert found.pids == (sleeper.pid,)
    assert sleeper.wait(5) == -9
    assert not folder.exists()


def test_a_pid_that_has_gone_to_somebody_else_is_left_alone(
    temporary: Path, sleeper: "subprocess.Popen[bytes]"
) -> None:
    abandoned(temporary, f'{{"pid": {sleeper.pid}, "started": 1.5}}\n')
    (found,) = remove_abandoned()
    assert found.pids == ()
    assert sleeper.poll() is None


@pytest.mark.parametrize("damage", ['{"pid": 1', "[]\n", '{"started": 3}\n', "\n"])
def test_a_damaged_record_stops_nobody(temporary: Path, damage: str) -> None:
    folder = abandoned(temporary, damage)
    assert len(remove_abandoned()) == 1
    assert not folder.exists()


def test_a_folder_that_only_looks_like_ours_is_left_alone(temporary: Path) -> None:
    (temporary / "splitbed-notes").mkdir()
    assert remove_abandoned() == []
    assert (temporary / "splitbed-notes").exists()
