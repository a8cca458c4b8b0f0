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


def pytest_configure(config: pytest.Config) -> None:
    """A cache of the tests' own, which all workers share; byte code of what hundreds import.

    One that was there before may hold what was drawn by code as it was then.
    """
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    if "PYTEST_XDIST_WORKER" not in os.environ:
        os.environ[_CACHE] = tempfile.mkdtemp(prefix="splitbed-tests-")
        config.add_cleanup(lambda: shutil.rmtree(os.environ.pop(_CACHE), ignore_errors=True))


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
