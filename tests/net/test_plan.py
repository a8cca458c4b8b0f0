"""`orchestrate plan --verify` as a user runs it: profile, predict, measure where it is closest."""

import csv
import json
import re
import subprocess
from math import inf
from pathlib import Path
from typing import Any

import pytest

from tests.net.sweeps import Place


@pytest.fixture(scope="module")
def verified(backend: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Place, Any]:
    place = Place(tmp_path_factory.mktemp("plan"))
    done = plan(place, place.out, "--verify", "2")
    assert done.returncode in (0, 1), done.stderr
    told = json.loads(done.stdout)
    wrong = [one for one in told["verdicts"] if one["choice"] in ("not the best", "not measured")]
    assert done.returncode == bool(wrong)
    return place, told


def plan(place: Place, out: Path, *more: str) -> "subprocess.CompletedProcess[str]":
    words = ["--model", place.model, "--split", "3:3", "--codec", "raw"]
    words += ["--bw", "20,100,100000", "--delay", "0", "--out", str(out), "--json", *more]
    (times := place.folder / "times.txt").write_text("".join(f"{n / 20}\n" for n in range(12)))
    words += ["--load", f"trace:{times}"]
    return place.orchestrate("plan", *words)


def test_the_closest_links_are_measured_and_held_against(verified: tuple[Place, Any]) -> None:
    place, told = verified
    rows = told["verified"]
    assert len({(row["delay_ms"], row["bw_mbit"]) for row in rows}) == 2
    assert {"plan", "second"} <= {role for row in rows for role in row["chosen by"].split(", ")}
    for row in rows:
        assert row["bw_mbit"] < 100_000  # which no link can have
        if row["measured_ms"] is None:  # as where a busy machine spoils a frame of milliseconds
            assert row["reason"]
            continue
        assert row["error_pct"] == pytest.approx(
            100 * (row["predicted_ms"] / row["measured_ms"] - 1)
        )
    with (place.out / "verify.csv").open() as file:
        assert len(list(csv.DictReader(file))) == len(rows)


def test_what_is_predicted_under_a_load_is_measured_under_it(verified: tuple[Place, Any]) -> None:
    place, told = verified
    rows = told["verified_under_load"]
    assert {row["what"] for row in rows} == {"response_ms", "frames_per_s"}
    assert len(rows) % 2 == 0
    for row in rows:
        assert row["load"].startswith("trace:" if row["what"] == "response_ms" else "closed, ")
        if row["measured"] is None:  # spoilt, or not sustained beside what else runs here
            assert row["reason"]
            continue
        assert row["measured"] > 0
        ends = row["predicted_low"], row["predicted_high"]
        low, high = (inf if end is None else end for end in ends)  # of what is not sustained
        assert row["within"] == (low <= row["measured"] <= high)
    with (place.out / "verify-load.csv").open() as file:
        assert len(list(csv.DictReader(file))) == len(rows)


def test_what_was_measured_is_a_run_of_its_own(verified: tuple[Place, Any]) -> None:
    place, told = verified
    run = json.loads((place.out / "verify" / "run.json").read_text())
    spoilt = [row for row in told["verified"] if row["measured_ms"] is None]
    spoilt += [row for row in told["verified_under_load"] if row["within"] is None]
    # beside what else runs here, the device anchor may not take as long over each link
    reasons = [one for one in run["reasons"] if "the machine was disturbed" not in one]
    assert bool(reasons) == bool(spoilt), run["reasons"]
    ended = (place.out / "verify" / "cells.jsonl").read_text().splitlines()
    # what was disturbed has ended twice
    asked = [*told["verified"], *told["verified_under_load"]]
    assert len({json.loads(line)["key"] for line in ended}) == len(asked)


def test_a_plan_from_an_earlier_one_needs_no_link_and_says_the_same(
    verified: tuple[Place, Any],
) -> None:
    place, told = verified
    done = plan(place, place.folder / "again", "--profile", str(place.out))
    assert not re.search("profiling|coding", done.stderr)
    assert json.loads(done.stdout)["best"] == told["best"]
