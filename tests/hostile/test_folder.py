"""Where a user works there may be anything: files named as what Python imports, too."""

import re
import subprocess
from pathlib import Path

import pytest

from splitbed.ending import PYTHON
from splitbed.workers.fork_server import ending_fork_server
from tests.workers import tasks
from tests.workers.test_worker import answer

ROOT = Path(__file__).parents[2]
OTHERS = {
    "netem/namespace.py",
    "netem/restore.py",
    "orchestrator/federated/spark.py",
    "splitbed/ending.py",
}
"""Spark begins its Python itself, and has it of its environment; netem says so itself."""


@pytest.fixture
def trap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with modules in place of those that processes of ours import first."""
    for name in ("grpc", "msgspec", "numpy", "psutil", "structlog", "typer"):
        (tmp_path / f"{name}.py").write_text("open('sprung', 'w'); raise SystemExit(9)")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "sprung"


def test_a_node_imports_nothing_of_the_folder_that_it_is_started_in(trap: Path) -> None:
    subprocess.run([*PYTHON, "-m", "edge_node", "--help"], check=True, stdout=subprocess.DEVNULL)
    assert not trap.exists()


def test_nor_does_a_worker(trap: Path) -> None:
    with ending_fork_server():
        assert answer(tasks.folder) == {"folder": str(trap.parent)}
    assert not trap.exists()


def test_every_process_of_ours_is_begun_so() -> None:
    rooms = ("edge_node", "netem", "orchestrator", "splitbed", "ue_node")
    every = (file for room in rooms for file in (ROOT / room).rglob("*.py"))
    own = {str(file.relative_to(ROOT)) for file in every if _names_python(file)}
    assert own == OTHERS


def _names_python(file: Path) -> bool:
    return re.search(r"\bsys\.executable\b", file.read_text()) is not None
