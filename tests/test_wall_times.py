"""A wall time says how busy the machine was: only a test that runs alone may look at one."""

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
CLOCK = re.compile(r"\btime\.(monotonic|perf_counter)(_ns)?\b")
MODULES = [
    file
    for file in TESTS.rglob("test_*.py")
    if CLOCK.search(file.read_text()) and file.name != "test_clocks.py"  # whose subject they are
]


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.stem)
def test_a_module_that_reads_the_clock_measures(module: Path) -> None:
    assert "mark.measures" in module.read_text(), "wait with tests.shared_machine.until instead"


def test_what_measures_is_where_the_makefile_looks_for_it() -> None:
    marked = {file for file in TESTS.rglob("test_*.py") if "mark.measures" in file.read_text()}
    assert {file.parent.name for file in marked - {Path(__file__)}} == {"node", "net", "codecs"}
