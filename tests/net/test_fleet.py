"""A sweep on many machines: the same run as on one, whatever becomes of a machine meanwhile.

The machines are Rays beside one another here, each with a name, a cache and a lock of its own.
"""

import random
import socket
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from tests.net.cluster import ASKED, Cluster, check_whole, lines, measuring
from tests.net.sweeps import Place, ended
from tests.shared_machine import until

pytest.importorskip("ray")
pytestmark = pytest.mark.usefixtures("backend")

OF_ONE_MACHINE = {
    ".lock", "accuracy.csv", "cells.jsonl", "report.html", "resources.csv", "run.json",
    "samples.jsonl", "summary.csv",
}  # fmt: skip
"""What a sweep on one machine leaves that was asked so."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    made = Cluster(tmp_path_factory.mktemp("cache"))
    try:
        yield made
    finally:
        made.close()


def test_two_machines_make_the_run_that_one_makes_and_a_lost_worker_costs_nothing(
    cluster: Cluster, tmp_path: Path
) -> None:
    place = Place(tmp_path)
    process = place.start(*ASKED, "--on", cluster.address)
    until(lambda: len(measuring(cluster.cache)) == 2, process)
    time.sleep(random.Random(3).uniform(0, 2))
    worker = measuring(cluster.cache)[0].parent()
    assert worker is not None
    worker.kill()
    done = ended(process)
    assert done.returncode in (0, 1), done.stderr
    assert "is sent again" in done.stderr
    check_whole(place)
    assert {str(one.relative_to(place.out)) for one in place.out.rglob("*")} == OF_ONE_MACHINE


def test_slurms_jobs_measure_one_at_a_time_on_a_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("submitit")
    monkeypatch.setenv("SPLITBED_CACHE", str(tmp_path))
    place = Place(tmp_path)
    done = place.sweep(*ASKED, "--on", "submitit:cluster=local")
    assert done.returncode in (0, 1), done.stderr
    check_whole(place, hosts=[socket.gethostname()])
    began = [cell["attempt"].split(" at ")[1] for cell in lines(place, "cells.jsonl")]
    links = [cell["link"]["uplink"]["rate_mbit"] for cell in lines(place, "cells.jsonl")]
    in_time = [link for _, link in sorted(zip(began, links, strict=True))]
    assert sum(one != other for one, other in pairwise(in_time)) == 1
    assert not (tmp_path / ".jobs").exists()
