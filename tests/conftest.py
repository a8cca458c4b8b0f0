"""The order of the tests, where they keep what the next run would find, and their threads."""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest

LONG = ("net", "deploy")
BESIDE = 5
"""So many files of other tests come after each of these."""
YIELDING = 10
"""How nice those are (setpriority(2))."""


_CACHE = "SPLITBED_CACHE"
_PYTESTS = "PYTEST_DEBUG_TEMPROOT"
"""Where pytest makes its own folders, of which it keeps those of tests that failed."""
LEAST_FREE_GB = 2.0
"""What the tests take at most; what a full disk fails by says little of the tests."""
FULL_GB = 0.2


def pytest_configure(config: pytest.Config) -> None:
    """Temporary files and a cache of the tests' own, which all workers share, and which go again.

    A cache that was there before may hold what was drawn by code as it was then. What a killed
    process leaves in TMPDIR, nobody else would remove. Byte code of what hundreds import is kept.
    """
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    if "PYTEST_XDIST_WORKER" in os.environ:
        return
    usual = tempfile.gettempdir()
    all_of_them = config.getoption("numprocesses", None)  # a guest's disk has room for a few
    if all_of_them and (free_gb := shutil.disk_usage(usual).free / 1e9) < LEAST_FREE_GB:
        told = f"{usual} has {free_gb:.1f} GB free, the tests take up to {LEAST_FREE_GB:.0f} GB"
        pytest.exit(f"{told}: make room, or set TMPDIR", returncode=3)
    os.environ.setdefault(_PYTESTS, usual)
    own = tempfile.mkdtemp(prefix="splitbed-tests-")
    Path(own).chmod(0o1777)  # tests become other users
    os.environ["TMPDIR"] = tempfile.tempdir = own
    os.environ[_CACHE] = tempfile.mkdtemp(prefix="cache-")
    config.add_cleanup(lambda: shutil.rmtree(own, ignore_errors=True))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """A disk that is full by now, which tests failed by that never asked for one."""
    if (free := shutil.disk_usage(usual := os.environ[_PYTESTS]).free) < FULL_GB * 1e9:
        full = f"the disk of {usual} is full ({free / 1e6:.0f} MB free): make room, test again"
        terminalreporter.write_line(full, red=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What waits for links has what computes beside it, and begins before the end.

    So all workers are busy, and end together.
    """
    files: dict[Path, list[pytest.Item]] = {}
    for item in items:
        files.setdefault(item.path, []).append(item)
    others = iter([file for file in files if not {*LONG} & {*file.parts}])
    order = [
        file
        for long in files
        if {*LONG} & {*long.parts}
        for file in (long, *islice(others, BESIDE))
    ]
    items[:] = [item for file in (*order, *others) for item in files[file]]


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """What measures links goes before what computes beside it, where that can be taken back."""
    if "PYTEST_XDIST_WORKER" in os.environ and os.geteuid() == 0:
        first = {*LONG} & {*item.path.parts}
        os.setpriority(os.PRIO_PROCESS, 0, 0 if first else YIELDING)


@pytest.fixture
def hurried() -> Iterator[None]:
    """Threads take turns so often that what two of them must not do at once, they do."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)
