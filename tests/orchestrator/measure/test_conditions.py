"""The commit of a run: Splitbed's own, or none."""

import subprocess
from pathlib import Path

import pytest

from orchestrator.measure.conditions import git_commit

MODULE = "orchestrator/measure/conditions.py"


def repository(top: Path, *tracked: str) -> str:
    """A repository that tracks these files; its commit."""
    for name in tracked:
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).touch()
    who = ("-c", "user.name=a", "-c", "user.email=a@b.c")
    for argv in (("init", "-q"), ("add", "."), (*who, "commit", "-q", "-m", "all")):
        subprocess.run(["git", "-C", str(top), *argv], check=True)
    asked = ["git", "-C", str(top), "rev-parse", "HEAD"]
    return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()


def installed(packages: Path) -> Path:
    """A copy of the module as an installer leaves it, which nobody tracks."""
    (module := packages / MODULE).parent.mkdir(parents=True)
    module.touch()
    return module


def test_a_checkout_of_this_package_says_its_commit(tmp_path: Path) -> None:
    commit = repository(tmp_path, MODULE)
    assert git_commit(tmp_path / MODULE) == commit
    (tmp_path / MODULE).write_text("changed")
    assert git_commit(tmp_path / MODULE) == f"{commit}+"


def test_a_copy_inside_somebody_elses_repository_has_none(tmp_path: Path) -> None:
    repository(tmp_path, "notes.txt")
    assert git_commit(installed(tmp_path / ".venv/lib/site-packages")) is None
    assert git_commit(installed(tmp_path)) is None  # at its top, and not tracked


def test_a_copy_that_somebody_elses_repository_tracks_has_none(tmp_path: Path) -> None:
    repository(tmp_path, f"vendored/{MODULE}")
    assert git_commit(tmp_path / "vendored" / MODULE) is None


def test_the_repository_of_a_hook_or_of_where_the_user_stands_is_not_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository(tmp_path / "theirs", MODULE)
    monkeypatch.chdir(tmp_path / "theirs")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "theirs/.git"))
    assert git_commit(installed(tmp_path / "ours")) is None
