"""A machine on which something else is at work: noticed and told."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.net.sweeps import Place

pytestmark = pytest.mark.measures

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
