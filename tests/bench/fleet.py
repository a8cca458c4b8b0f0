"""Sweeps on machines beside one another here: workers killed at random, and how wall time falls."""

import os
import random
import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tests.bench.figure import Bar, Figure
from tests.net.cluster import Cluster, lines, measuring
from tests.net.sweeps import Place, ended

KILLS, SEED = 20, 7
BARS = {2: 0.55, 4: 0.275}
"""Of the wall time on one machine: 1/N, and 10 % of that."""
_KILLED = ("--split", "3:3", "--bw", "5,6", "--runs", "3", "--no-delivery")
_TIMED = ("--split", "3:3", "--bw", "5,5.1,5.2,5.3", "--runs", "300", "--no-delivery")


def figures(folder: Path) -> Iterator[Figure]:
    """The share of lost and doubled cells over all kills; wall time on N against one."""
    os.environ["SPLITBED_CACHE"] = tempfile.mkdtemp(dir=folder)
    yield _killed(folder)
    one_s = _timed(folder, 1)
    for count, bar in BARS.items():
        ratio = _timed(folder, count) / one_s
        yield Figure(f"wall time on {count} machines, of that on one", ratio, bar=Bar(most=bar))


def _killed(folder: Path) -> Figure:
    cluster, dice, wrong = _cluster(folder, 2), random.Random(SEED), 0
    try:
        for kill in range(KILLS):
            (place := Place(folder / f"kill-{kill}")).folder.mkdir()
            process = place.start(*_KILLED, "--on", cluster.address)
            while not measuring() and process.poll() is None:
                time.sleep(0.05)
            time.sleep(dice.uniform(0, 4))
            _kill(dice)
            ended(process)
            rows = Counter((row["split"], row["link"]) for row in place.rows())
            cells = lines(place, "cells.jsonl")
            visits = Counter((one["key"], one["block"], one["measured"]) for one in cells)
            wrong += len(rows) != 6 or any(one["error"] for one in cells)
            wrong += any(count > 1 for count in (*rows.values(), *visits.values()))
    finally:
        cluster.close()
    return Figure(f"of {KILLS} kills, those that lost or doubled a cell", wrong, bar=Bar(most=0))


def _kill(dice: random.Random) -> None:
    if there := measuring():
        parent = dice.choice(there).parent()
        if parent is not None:
            parent.send_signal(signal.SIGKILL)


def _timed(folder: Path, count: int) -> float:
    """Seconds from the first group's begin to the end of the sweep."""
    cluster = _cluster(folder, count)
    try:
        (place := Place(folder / f"on-{count}")).folder.mkdir()
        process: subprocess.Popen[str] = place.start(*_TIMED, "--on", cluster.address)
        while not measuring() and process.poll() is None:
            time.sleep(0.05)
        began_s = time.monotonic()
        ended(process)
        return time.monotonic() - began_s
    finally:
        cluster.close()


def _cluster(folder: Path, count: int) -> Cluster:
    return Cluster(folder, tuple(f"host{number}" for number in range(count)))
