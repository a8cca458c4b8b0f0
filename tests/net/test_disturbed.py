"""A machine on which something else is at work: noticed, measured again, told."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from orchestrator.ask.split_point import DEVICE_ANCHOR
from orchestrator.measure.racing.again import MOST_IN_VAIN
from orchestrator.results.judgement.disturbance import MAX_OTHERS_SHARE
from tests.net.sweeps import AS_A_USER, Place, ended
from tests.shared_machine import until

pytestmark = pytest.mark.measures

COMPUTES = ("--model", "shapesnet", "--runs", "3", "--no-delivery")
SHORT = (*COMPUTES, "--split", "stage3", "--bw", "100")
"""Frames that compute for most of their time, but the network anchor's."""
CELLS = 3
BEFORE, DURING = 1, 2
"""So many cells end before the load comes, and before it goes again."""
BUSY = "import os, sys; os.sched_setaffinity(0, {int(sys.argv[1])}); sys.stdin.read(1)\nwhile 1: 0"


@contextmanager
def load() -> Iterator[Callable[[], None]]:
    """What makes every processor busy at once, when it is called."""
    cpus = map(str, os.sched_getaffinity(0))
    busy = [
        subprocess.Popen([sys.executable, "-c", BUSY, one], stdin=subprocess.PIPE) for one in cpus
    ]

    def start() -> None:
        for process in busy:
            assert process.stdin is not None
            process.stdin.close()

    try:
        yield start
    finally:
        for process in busy:
            process.kill()
            process.wait()


def visits(place: Place) -> list[dict[str, Any]]:
    """The cells that ended, in their order."""
    return [json.loads(line) for line in (place.out / "cells.jsonl").read_text().splitlines()]


def others_share(visit: dict[str, Any]) -> float:
    return float(visit["machine"]["others_share"])


def remained(place: Place, stdout: str) -> set[str]:
    """Keys of the cells that were disturbed when last measured: that counts, and is told."""
    rows = dict(zip(place.run_json()["grid"], place.rows(), strict=True))
    # of the anchors, which come once more at the end, the worse
    shares: dict[str, list[float]] = {}
    for (key, _), visit in {(one["key"], one["block"]): one for one in visits(place)}.items():
        shares.setdefault(key, []).append(others_share(visit))
    for key, share in shares.items():
        assert float(rows[key]["others_pct"]) == pytest.approx(100 * max(share), abs=0.1)
    found = {key for key, row in rows.items() if row["disturbed"]}
    were = "was" if len(found) == 1 else "were"
    words = f"{len(found)} of {len(rows)} cells {were} disturbed when last measured"
    assert (words in stdout) is bool(found), stdout
    return found


def test_cells_in_which_every_core_is_busy_are_noticed_measured_again_and_told(
    tmp_path: Path, backend: str
) -> None:
    place = Place(tmp_path, AS_A_USER)
    with load() as start:
        process = place.start(*SHORT, "--link-backend", backend)
        until(lambda: place.cells() >= BEFORE, process)
        start()
        began_ns = time.monotonic_ns()
        until(lambda: place.cells() >= BEFORE + DURING, process)
    gone_ns = time.monotonic_ns()
    done = ended(process)
    found = visits(place)
    assert len(found) > CELLS, done.stdout + done.stderr
    beside = [
        visit
        for visit in found[BEFORE : BEFORE + DURING]
        if began_ns < (at_ns := int(visit["attempt"].rpartition("#")[2]))
        and at_ns + visit["wall_ms"] * 1e6 < gone_ns
    ]
    assert len(beside) >= DURING - 1
    assert all(others_share(visit) > MAX_OTHERS_SHARE for visit in beside)
    again = [visit["key"] for visit in found if visit["measured"] > 1]
    assert "were disturbed and are measured again" in done.stderr
    were = "was" if len({*again}) == 1 else "were"
    assert f"{len({*again})} of {CELLS} cells {were} measured again" in done.stdout
    # all of them, unless something else kept the machine as busy
    in_vain = {*again[-MOST_IN_VAIN:]} <= remained(place, done.stdout)
    computing = {visit["key"] for visit in beside if not visit["split"].startswith("0:")}
    assert computing <= {*again} or in_vain, found


def test_a_machine_that_is_busy_all_the_time_is_told_of_what_computes_and_given_up_soon(
    tmp_path: Path, backend: str
) -> None:
    place = Place(tmp_path, AS_A_USER)
    with load() as start:
        start()
        # by a process of its own: what keeps the machine busy is the tests', and not the sweep's
        asked = (*COMPUTES, "--split", "stage2", "--bw", "10", "--link-backend", backend)
        done = ended(place.start(*asked))
    assert all(others_share(visit) > MAX_OTHERS_SHARE for visit in visits(place))
    told = {row["split"]: "other processes used" in row["disturbed"] for row in place.rows()}
    (split,) = (row["split"] for row in place.rows() if "anchor" not in row["split_name"])
    (anchor,) = (row["split"] for row in place.rows() if row["split_name"] == DEVICE_ANCHOR)
    assert (told[anchor], told[split]) == (True, False)  # which waits for its link
    assert len(visits(place)) == 3 + 2 + MOST_IN_VAIN  # the anchors come once more
    assert len(remained(place, done.stdout)) >= sum(told.values())  # parts may be late, too
