"""A machine on which something else is at work: noticed, measured again, told."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.net.sweeps import Place, ended
from tests.shared_machine import until

pytestmark = pytest.mark.measures

SLOW = ("--split", "2:4,3:3", "--bw", "1,2,5,10", "--runs", "3")
BUSY = [sys.executable, "-c", "while True: pass"]


@contextmanager
def loaded() -> Iterator[None]:
    """One core busy, and on a larger machine as many as a third of them."""
    busy = [subprocess.Popen(BUSY) for _ in range(1 + (psutil.cpu_count() or 1) // 3)]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()


def visits(place: Place) -> list[str]:
    """The keys of the cells that ended, in their order."""
    lines = (place.out / "cells.jsonl").read_text().splitlines()
    return [json.loads(line)["key"] for line in lines]


def test_a_core_that_is_busy_during_a_part_of_a_sweep_is_noticed_and_its_cells_measured_again(
    tmp_path: Path, backend: str
) -> None:
    place = Place(tmp_path)
    with loaded():
        process = place.start(*SLOW, "--link-backend", backend)
        until(lambda: place.cells() >= 3, process)
    done = ended(process)
    found = visits(place)
    again = {key for key, count in Counter(found).items() if count > 1}
    assert set(found[:3]) <= again, done.stdout + done.stderr
    assert "were disturbed and are measured again" in done.stderr
    assert len(place.rows()) == 16


def test_a_machine_that_is_busy_all_the_time_is_told_and_nothing_measured_again(
    tmp_path: Path, backend: str
) -> None:
    place = Place(tmp_path)
    with loaded():
        done = place.sweep("--split", "3:3", "--bw", "2", "--link-backend", backend)
    rows = place.rows()
    assert all("other processes used" in row["disturbed"] for row in rows)
    assert all(float(row["others_pct"]) > 25 for row in rows)
    assert len(visits(place)) == 3
    assert "3 of 3 cells were disturbed when last measured" in done.stdout
