"""`orchestrate capacity` as a user runs it: each load is offered over a real link."""

import csv
import json
from pathlib import Path

import pytest

from tests.net.sweeps import ORCHESTRATE, Place, ended

pytestmark = pytest.mark.usefixtures("backend")


def test_as_many_ues_as_a_link_carries_are_found(tmp_path: Path) -> None:
    # of the input it carries 39 a second, too few for one UE; of what crosses 2:4 none in 60 ms
    place = Place(tmp_path)
    must = ["--slo", "e2e_mean<60ms", "--drop-rate", "<15%", "--seconds", "1"]
    grid = ["--split", "2:4", "--bw", "1", "--in-flight", "2", "--load", "fps:50", "--ues", "1:2"]
    own = ["--model", place.model, "--out", str(place.out), "--json"]
    done = ended(place.popen([*ORCHESTRATE, "capacity", *own, *must, *grid]))
    told = json.loads(done.stdout)
    assert done.returncode == (told["verdict"] != "VALID"), done.stderr
    rows = told["rows"]
    assert [row["split"] for row in rows] == ["0:6", "2:4", "6:0"]
    for row in rows:
        if row["error"]:  # as where a busy machine spoils a run
            continue
        least, most = row["last_passing"], row["first_failing"]
        assert most or row["bound_by"] or least == 2
        assert not least or row["confirmed"] >= 4
        assert not most or (row["bound_by"] and least in (None, most - 1))
    network, middle, _ = rows
    assert network["error"] or (network["last_passing"], network["first_failing"]) == (None, 1)
    assert middle["error"] or (middle["bound_by"], middle["runs"]) == ("e2e_mean", 0)
    with (place.out / "trials.csv").open() as file:
        trials = list(csv.DictReader(file))
    assert len(trials) == sum(row["runs"] for row in rows)
    samples = (place.out / "samples.jsonl").read_text().splitlines()
    assert sum(int(one["offered"]) for one in trials) <= len(samples)
    assert (place.out / "report.html").stat().st_size > 10_000
