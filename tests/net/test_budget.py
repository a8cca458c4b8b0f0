"""A sweep that measures what decides, over a real link, and predicts the rest."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from orchestrator.reports.html import facts
from tests.net.sweeps import ORCHESTRATE, Place, ended

pytestmark = pytest.mark.usefixtures("backend")


def raced(place: Place, *options: str) -> "tuple[int, str, str]":
    argv = [*ORCHESTRATE, "sweep", "--model", place.model, "--out", str(place.out)]
    done = ended(place.popen([*argv, "--split", "all", "--bw", "2,20", *options]))
    return done.returncode, done.stdout, done.stderr


def test_a_sweep_until_sure_measures_some_cells_and_predicts_the_others(tmp_path: Path) -> None:
    place = Place(tmp_path)
    code, out, err = raced(place, "--until-sure", "--json")
    assert code == 0, out + err
    said = json.loads(out)
    grid = json.loads((place.out / "run.json").read_text())["grid"]
    assert len(said["rows"]) < len(grid)
    assert len(said["rows"]) + len(said["predicted"]) == len(grid)
    assert not any(row["predicted"] for row in said["rows"])
    for row in said["predicted"]:
        assert row["e2e_ms"] is None
        assert not row["valid"]
        assert row["e2e_predicted_low_ms"] < row["e2e_predicted_ms"] < row["e2e_predicted_high_ms"]
    # each link has its anchors and a split, and its best is told as sure
    for bw in (2, 20):
        measured = {row["split"] for row in said["rows"] if row["bw_mbit"] == bw}
        assert {"0:6", "6:0"} < measured
        assert any(f"At {bw} Mbit/s: " in line and ", sure" in line for line in err.splitlines())
    assert any("are predicted, none of which" in line for line in said["advice"])
    table = [*csv.DictReader((place.out / "summary.csv").open())]
    assert [row["predicted"] for row in table].count("true") == len(said["predicted"])
    page: dict[str, Any] = facts(place.out)
    assert page["verdict"]["word"] == "VALID"
    assert len(page["predicted"]) == len(said["predicted"])


def test_a_first_answer_is_told_before_any_cell_is_measured(tmp_path: Path) -> None:
    place = Place(tmp_path)
    _, _, err = raced(place, "--budget", "1h")
    lines = err.splitlines()
    answered = next(place for place, line in enumerate(lines) if ", predicted " in line)
    measured = next(place for place, line in enumerate(lines) if "frames" in line)
    assert answered < measured


def test_a_budget_that_is_spent_on_the_profile_leaves_predictions_alone(tmp_path: Path) -> None:
    place = Place(tmp_path)
    code, out, _ = raced(place, "--budget", "1s")
    assert code == 1
    assert "INVALID" in out
    assert "nothing was measured, every time is predicted" in out
    assert "predicted" in out
    table = [*csv.DictReader((place.out / "summary.csv").open())]
    assert {row["predicted"] for row in table} == {"true"}
