"""A sweep on many machines: the same run as on one, whatever becomes of a machine meanwhile.

The machines are Rays beside one another here, each with a name, a cache and a lock of its own.
"""

import json
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from orchestrator.fleet.on_ray import OF_A_RUN
from tests.net.sweeps import Place, ended
from tests.shared_machine import until

pytest.importorskip("ray")
pytestmark = pytest.mark.usefixtures("backend")

HOSTS = ("one", "two")
ASKED = ("--split", "3:3", "--bw", "5,6", "--runs", "3", "--no-delivery")


class Cluster:
    """A Ray whose machines are called as they are told."""

    def __init__(self, cache: Path) -> None:
        from ray.cluster_utils import Cluster as Ray

        os.environ |= {f"RAY_{name}": str(value) for name, value in OF_A_RUN.items()}
        self._cache = cache
        self._ray = Ray()
        self._nodes = {name: self.add(name) for name in HOSTS}

    def add(self, name: str) -> Any:
        """A machine that joins."""
        own = {"SPLITBED_HOST": name, "SPLITBED_CACHE": str(self._cache)}
        before = {key: os.environ.get(key) for key in own}
        os.environ |= own
        try:
            return self._ray.add_node(resources={"splitbed": 1}, num_cpus=1)
        finally:
            for key, value in before.items():
                os.environ.pop(key) if value is None else os.environ.update({key: value})

    @property
    def address(self) -> str:
        return str(self._ray.address)

    def close(self) -> None:
        self._ray.shutdown()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    made = Cluster(tmp_path_factory.mktemp("cache"))
    try:
        yield made
    finally:
        made.close()


def lines(place: Place, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (place.out / name).read_text().splitlines()]


def measuring() -> list[psutil.Process]:
    """The processes that measure groups."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        if "orchestrator.fleet.group" in (process.info["cmdline"] or ()):
            found.append(process)
    return found


def check_whole(place: Place) -> None:
    """Every cell is there once, on the machine of its link; frames are of cells, and of one."""
    rows = place.rows()
    assert Counter(row["split"] for row in rows) == {"0:6": 2, "3:3": 2, "6:0": 2}
    assert all(row["frames"] and not int(row["errors"]) for row in rows)
    on = {(row["link"], row["measured_on"]) for row in rows}
    assert len(on) == 2
    assert {machine for _, machine in on} <= {*HOSTS}
    cells = lines(place, "cells.jsonl")
    visits = Counter((cell["key"], cell["block"], cell["measured"]) for cell in cells)
    assert {*visits.values()} == {1}
    attempts = Counter(frame["attempt"] for frame in lines(place, "samples.jsonl"))
    assert {cell["attempt"]: cell["frames"] for cell in cells} == attempts


def test_two_machines_make_the_run_that_one_makes_and_a_lost_worker_costs_nothing(
    cluster: Cluster, tmp_path: Path
) -> None:
    place = Place(tmp_path)
    process = place.start(*ASKED, "--on", cluster.address)
    until(lambda: len(measuring()) == 2, process)
    time.sleep(random.Random(3).uniform(0, 2))
    victim = measuring()[0]
    worker = victim.parent()
    assert worker is not None
    worker.send_signal(signal.SIGKILL)
    done = ended(process)
    assert done.returncode in (0, 1), done.stderr
    assert "is sent again" in done.stderr
    check_whole(place)
    alone = Place(tmp_path / "alone")
    alone.folder.mkdir()
    assert {*files(place)} - {*files(alone_run(alone))} == set()


def files(place: Place) -> list[str]:
    return [str(one.relative_to(place.out)) for one in place.out.rglob("*") if one.is_file()]


def alone_run(place: Place) -> Place:
    done = place.sweep(*ASKED)
    assert done.returncode in (0, 1), done.stderr
    return place
