"""`orchestrate capacity` as a user runs it: each load is offered over a real link."""

import csv
import json
from pathlib import Path

import pytest

from tests.net.sweeps import ORCHESTRATE, Place, ended

pytestmark = pytest.mark.usefixtures("backend")


def test_a_rate_that_holds_is_found_and_one_that_does_not(tmp_path: Path) -> None:
    place = Place(tmp_path)
    must = ["--slo", "e2e_mean<10s", "--drop-rate", "<40%", "--seconds", "1", "--within", "0.5"]
    grid = ["--split", "2:4", "--bw", "2", "--in-flight", "2"]
    own = ["--model", place.model, "--out", str(place.out), "--json"]
    done = ended(place.popen([*ORCHESTRATE, "capacity", *own, *must, *grid]))
    told = json.loads(done.stdout)
    assert done.returncode == (told["verdict"] != "VALID"), done.stderr
    rows = told["rows"]
    assert [row["split"] for row in rows] == ["0:6", "2:4", "6:0"]
    for row in rows:
        if row["error"]:  # as where a busy machine spoils a run
            continue
        assert row["last_passing"] and row["confirmed"] >= 4
        if row["first_failing"]:
            assert row["last_passing"] < row["first_failing"] <= 1.51 * row["last_passing"]
            assert row["bound_by"]
    with (place.out / "trials.csv").open() as file:
        trials = list(csv.DictReader(file))
    assert len(trials) == sum(row["runs"] for row in rows)
    samples = (place.out / "samples.jsonl").read_text().splitlines()
    assert sum(int(one["offered"]) for one in trials) <= len(samples)
    assert (place.out / "report.html").stat().st_size > 10_000
