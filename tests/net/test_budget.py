"""A sweep that measures what decides, over a real link, and predicts the rest."""

import csv
import json
import signal
from pathlib import Path
from typing import Any

import pytest

from orchestrator.reports.page_facts import facts
from tests.net.sweeps import ORCHESTRATE, Place, ended
from tests.shared_machine import assert_measured, until

pytestmark = pytest.mark.usefixtures("backend")


TWO_LINKS = ("--split", "all", "--bw", "2,20")


def raced(place: Place, *options: str) -> tuple[int, str, str]:
    own = ("--model", place.model, "--out", str(place.out))
    done = place.orchestrate("sweep", *own, *options)
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def sure(tmp_path_factory: pytest.TempPathFactory, backend: str) -> tuple[Place, Any, list[str]]:
    """A sweep until sure that has an hour for it: its run, its answer, the lines it said."""
    del backend  # only for its skip
    place = Place(tmp_path_factory.mktemp("sure"))
    code, out, err = raced(place, *TWO_LINKS, "--until-sure", "--budget", "1h", "--json")
    assert code == 0, out + err
    return place, json.loads(out), err.splitlines()


def test_a_sweep_until_sure_measures_some_cells_and_predicts_the_others(
    sure: tuple[Place, Any, list[str]],
) -> None:
    place, said, told = sure
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
        assert any(f"At {bw} Mbit/s: " in line and ", sure" in line for line in told)
    assert any("are predicted, none of which" in line for line in said["advice"])
    table = [*csv.DictReader((place.out / "summary.csv").open())]
    assert [row["predicted"] for row in table].count("true") == len(said["predicted"])
    page: dict[str, Any] = facts(place.out)
    assert page["verdict"]["word"] == json.loads((place.out / "run.json").read_text())["verdict"]
    assert len(page["predicted"]) == len(said["predicted"])


def test_a_first_answer_is_told_before_any_cell_is_measured(
    sure: tuple[Place, Any, list[str]],
) -> None:
    _, _, told = sure
    answered = next(place for place, line in enumerate(told) if ", predicted " in line)
    measured = next(place for place, line in enumerate(told) if "frames" in line)
    assert answered < measured


def test_a_budget_that_is_spent_before_a_cell_leaves_predictions_alone(
    tmp_path: Path,
) -> None:
    place = Place(tmp_path)
    code, out, _ = raced(place, *TWO_LINKS, "--budget", "1s")
    assert code == 1
    assert "INVALID" in out
    assert "nothing was measured, every time is predicted" in out
    assert "predicted" in out
    table = [*csv.DictReader((place.out / "summary.csv").open())]
    assert {row["predicted"] for row in table} == {"true"}


@pytest.fixture(scope="module")
def paces(tmp_path_factory: pytest.TempPathFactory, backend: str) -> tuple[Place, Any]:
    """A sweep until sure of two codecs, with the UE at two paces: its run, its answer."""
    del backend  # only for its skip
    place = Place(tmp_path_factory.mktemp("paces"))
    asked = ("--split", "2:4,3:3", "--bw", "20", "--codec", "raw,int8+zstd", "--ue-slowdown", "1,6")
    code, out, err = raced(place, "--until-sure", *asked, "--json")
    assert code in (0, 1), out + err  # a small part may be too short to be steered
    return place, json.loads(out)


def test_codecs_that_lose_nobody_knows_how_much_are_timed_and_win_nothing(
    paces: tuple[Place, Any],
) -> None:
    place, said = paces
    asked = {(row["split"], row["codec"]) for row in (*said["rows"], *said["predicted"])}
    assert {"raw", "int8+zstd"} <= {codec for _, codec in asked}
    assert not any("int8" in one["best"] for one in place.run_json()["raced"])
    own_pace = next(one for one in place.run_json()["raced"] if not one["ue"])
    assert not own_pace["not_seen"] and not own_pace["may_win"]


def test_each_pace_of_the_ue_is_a_question_of_its_own(paces: tuple[Place, Any]) -> None:
    place, said = paces
    rows = [row for row in said["rows"] if row["valid"]]
    assert {one["ue"] for one in place.run_json()["raced"]} == {"", "6x slower"}
    for ue in {row["ue"] for row in rows}:
        kinds = {row["split"] for row in rows if row["ue"] == ue}
        assert {"0:6", "6:0"} < kinds


def test_a_race_that_was_interrupted_is_gone_on_with(tmp_path: Path) -> None:
    place = Place(tmp_path)
    argv = [*ORCHESTRATE, "sweep", "--model", place.model, "--out", str(place.out), "--until-sure"]
    process = place.popen([*argv, "--split", "all", "--bw", "20"])
    until(lambda: place.cells() >= 2, process)
    process.send_signal(signal.SIGINT)
    stopped = ended(process)
    assert stopped.returncode == 130, stopped.stderr
    before = (place.out / "cells.jsonl").read_text()
    assert {row["predicted"] for row in place.rows()} == {"true", "false"}
    done = place.orchestrate("sweep", "--resume", str(place.out))
    assert_measured(done, place.out)
    after = (place.out / "cells.jsonl").read_text()
    assert after.startswith(before)
    run = place.run_json()
    assert all(not one["not_seen"] and not one["may_win"] for one in run["raced"])
    assert len(run["resumed"]) == 1
    assert len(place.rows()) == len(run["grid"])
