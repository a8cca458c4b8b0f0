"""`orchestrate capacity` as a user runs it: each load is offered over a real link."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from netem.spec import Shape
from netem.wire import wire_ms
from tests.net.sweeps import Place

pytestmark = pytest.mark.usefixtures("backend")

MAP_BYTES = 8 * 16 * 16 * 4  # of the cut 2:4
MBIT = 2.0
CARRIED_FPS = 1e3 / wire_ms(MAP_BYTES, Shape(rate_mbit=MBIT))
# that its queue grows tells what is too much; what else runs on a machine may make it carry less
QUICK = ["--slo", "response_mean<1s", "--drop-rate", "<15%", "--seconds", "1", "--within", "0.3"]


def searched(place: Place, *grid: str) -> dict[str, Any]:
    """The one row of a split that is searched alone."""
    own = ["--model", place.model, "--out", str(place.out), "--json"]
    own += ["--split", "2:4", "--bw", f"{MBIT:g}"]
    done = place.orchestrate("capacity", *own, *QUICK, *grid)
    told = json.loads(done.stdout)
    assert done.returncode == (told["verdict"] != "VALID"), done.stderr
    (row,) = told["rows"]
    assert row["split"] == "2:4"
    if row["error"]:  # of what was not measured no answer is made
        assert (row["last_passing"], row["first_failing"], row["bound_by"]) == (None, None, "")
    else:
        assert bool(row["first_failing"]) == bool(row["bound_by"])
    assert not row["last_passing"] or row["confirmed"] >= 4
    return dict(row)


def test_a_split_carries_no_more_frames_a_second_than_its_bytes_leave_room_for(
    tmp_path: Path,
) -> None:
    row = searched(place := Place(tmp_path))
    least, most = row["last_passing"], row["first_failing"]
    assert most or row["error"], row  # a busy machine may spoil a run
    if least is not None:
        assert least < 1.05 * CARRIED_FPS
        assert least < most <= 1.31 * least
    with (place.out / "trials.csv").open() as file:
        trials = list(csv.DictReader(file))
    assert len(trials) == row["runs"]
    assert most is None or most in {float(one["load"]) for one in trials}
    samples = (place.out / "samples.jsonl").read_text().splitlines()
    assert sum(int(one["offered"]) for one in trials) <= len(samples)
    assert (place.out / "report.html").stat().st_size > 10_000


def test_no_more_ues_are_found_than_a_link_carries(tmp_path: Path) -> None:
    crowd = ["--load", f"fps:{0.7 * CARRIED_FPS:.3g}", "--ues", "1:2"]
    row = searched(Place(tmp_path), *crowd)
    both = row["last_passing"], row["first_failing"]
    assert both in ((1, 2), (None, 1)) or row["error"], row
