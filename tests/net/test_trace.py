"""A bandwidth trace on a link that the kernel shapes, once for each policy."""

import csv
import json
from pathlib import Path

import pytest

from tests.net.sweeps import Place

pytestmark = pytest.mark.usefixtures("backend")


def test_a_policy_that_measures_beats_the_worst_split_and_no_frame_is_lost(tmp_path: Path) -> None:
    place = Place(tmp_path)
    (trace := tmp_path / "trace.csv").write_text("0,20\n1,1\n2.5,20\n")
    options = ["--split", "2:4", "--policy", "static:2:4,argmin", "--bw-trace", str(trace)]
    own = ["--model", place.model, "--out", str(place.out)]
    done = place.orchestrate("trace", *own, *options)
    told = json.loads((place.out / "trace.json").read_text())
    assert told["verdict"] in done.stdout, done.stderr + done.stdout
    # on a machine that others use the link may be late, and then it says so
    assert all("a step away" in reason for reason in told["reasons"]), told["reasons"]
    assert done.returncode == bool(told["reasons"])
    assert len(told["proofs"]) == 4
    with (place.out / "trace.csv").open() as file:
        static, argmin = csv.DictReader(file)
    assert (static["lost"], argmin["lost"]) == ("0", "0")
    assert static["switches"] == "0"
    assert float(argmin["mean_ms"]) <= float(static["mean_ms"])
    assert float(argmin["max_abs_diff"] or 0) <= 1e-5
    changes = told["changes"]["argmin"]
    assert [rate for _, _, rate in changes[:3]] == [20, 1, 20]
    # each is made when it is due, and before the next one is
    due, at = [due_s for due_s, _, _ in changes], [at_s for _, at_s, _ in changes]
    assert sorted([*due, *at]) == [
        moment for change in zip(due, at, strict=True) for moment in change
    ]
    assert len((place.out / "samples.jsonl").read_text().splitlines()) >= int(argmin["frames"])
    assert (place.out / "trace.png").stat().st_size > 10_000
    assert not place.processes()
