"""A sweep on many machines: the same run as on one, whatever becomes of a machine meanwhile.

The machines are Rays beside one another here, each with a name, a cache and a lock of its own.
"""

import random
import signal
import socket
import time
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from tests.net.cluster import HOSTS, Cluster, lines, measuring
from tests.net.sweeps import Place, ended
from tests.shared_machine import until

pytest.importorskip("ray")
pytestmark = pytest.mark.usefixtures("backend")

ASKED = ("--split", "3:3", "--bw", "5,6", "--runs", "3", "--no-delivery")
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
    assert {str(one.relative_to(place.out)) for one in place.out.rglob("*")} == OF_ONE_MACHINE


def test_slurms_jobs_measure_one_at_a_time_on_a_machine(tmp_path: Path) -> None:
    pytest.importorskip("submitit")
    place = Place(tmp_path)
    done = place.sweep(*ASKED, "--on", "submitit:cluster=local")
    assert done.returncode in (0, 1), done.stderr
    rows = place.rows()
    assert [int(row["errors"]) for row in rows] == [0] * 6
    assert {row["measured_on"] for row in rows} == {socket.gethostname()}
    began = [cell["attempt"].split(" at ")[1] for cell in lines(place, "cells.jsonl")]
    links = [cell["link"]["uplink"]["rate_mbit"] for cell in lines(place, "cells.jsonl")]
    in_time = [link for _, link in sorted(zip(began, links, strict=True))]
    assert sum(one != other for one, other in pairwise(in_time)) == 1
    assert not (tmp_path / ".jobs").exists()
