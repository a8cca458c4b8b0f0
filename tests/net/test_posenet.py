"""PoseNet on TFLite over a shaped link: delivery, frames and profiles, as in scenario 10.2."""

import csv
import json
import shutil
from pathlib import Path

import pytest

from netem.wire import wire_bytes
from orchestrator.results.profile import PUBLISHED_COLUMNS
from tests.net.sweeps import Place
from tests.shared_machine import assert_measured, counts

pytestmark = pytest.mark.usefixtures("backend")

PART1_BYTES_13 = (1_000_000, 1_200_000)
"""Of part 1 at 13:18; the published table has 1049 KiB there."""


@pytest.fixture(scope="module")
def scenario(tmp_path_factory: pytest.TempPathFactory, backend: str) -> Place:
    """The scenario of two splits at one rate."""
    del backend  # only for its skip
    place = Place(tmp_path_factory.mktemp("scenario"))
    words = ["10.2", "--split", "13:18,29:2", "--bw", "50", "--runs", "5", "--out", str(place.out)]
    done = place.orchestrate("scenario", "run", *words)
    assert_measured(done, place.out / "sweep")
    (place.folder / "stdout").write_text(done.stdout)
    return place


@pytest.fixture(scope="module")
def place(scenario: Place) -> Place:
    """Its sweep."""
    return Swept(scenario.folder)


class Swept(Place):
    """The sweep of a scenario."""

    @property
    def out(self) -> Path:
        return super().out / "sweep"


def test_the_sweep_runs_on_tflite_and_every_row_is_valid(place: Place) -> None:
    rows = place.rows()
    assert [row["split"] for row in rows] == ["0:31", "13:18", "29:2", "31:0"]
    assert {row["runtime"] for row in rows} == {"tflite"}
    assert all(map(counts, rows))


def test_intermediate_sizes_are_the_published_ones(place: Place) -> None:
    sizes = {row["split"]: int(row["intermediate_bytes"]) for row in place.rows()}
    assert sizes["0:31"] == 792_588
    assert sizes["13:18"] == 591_872
    # behind the first two heads: both outputs, and what the other two heads read
    assert sizes["29:2"] == 4 * 17 * 17 * (17 + 34 + 1024)


def test_split_and_whole_are_equal_bit_for_bit(place: Place) -> None:
    assert {row["max_abs_diff"] for row in place.rows() if row["split"] != "31:0"} == {"0"}


def test_part_1_was_delivered_over_the_link_that_was_asked(place: Place) -> None:
    over_floor = []
    for row in place.rows():
        if nbytes := int(row["part1_bytes"]):
            floor_ms = wire_bytes(nbytes) * 8 / (float(row["bw_mbit"]) * 1e3)
            over_floor.append(float(row["part1_delivery_ms"]) / floor_ms)
    # none is sooner; others on the machine make one late, and not all three
    assert len(over_floor) == 3
    assert 0.98 <= min(over_floor) <= 1.1
    (first, last) = PART1_BYTES_13
    assert first < int(place.rows()[1]["part1_bytes"]) < last
    assert int(place.rows()[3]["part1_bytes"]) > 13_000_000


def test_what_a_delivery_saves_is_counted_from_the_network_anchor(place: Place) -> None:
    network, _, _, device = place.rows()
    assert network["frames_to_pay_delivery"] == ""
    saved_ms = float(network["e2e_ms"]) - float(device["e2e_ms"])
    frames = float(device["part1_delivery_ms"]) / saved_ms
    assert frames <= int(device["frames_to_pay_delivery"]) <= frames + 1.01
    assert "is paid after" in (place.folder / "stdout").read_text()


def test_the_profile_has_the_published_columns_and_a_row_per_split(place: Place) -> None:
    with (place.out / "profile.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == PUBLISHED_COLUMNS
    assert [int(row["layers_on_client"]) for row in rows] == list(range(32))
    assert float(rows[13]["intermediate_data_size_kB"]) == 591.872
    clients = [float(row["client_time_ms"]) for row in rows]
    assert clients == sorted(clients)


def test_predicted_times_stand_beside_measured_ones(place: Place) -> None:
    for row in place.rows():
        measured, predicted = float(row["e2e_ms"]), float(row["e2e_predicted_ms"])
        error = float(row["prediction_error_pct"])
        assert error == pytest.approx(100 * (predicted / measured - 1), abs=0.01)
    assert "The profiles predicted end-to-end times" in (place.folder / "stdout").read_text()


def test_a_scenario_leaves_one_folder_with_the_tables_of_the_clause(scenario: Place) -> None:
    names = {path.name for path in scenario.out.iterdir()}
    assert names >= {"scenario.yaml", "scenario.md", "verification.csv", "tables.md", "sweep"}
    tables = (scenario.out / "tables.md").read_text()
    for title in ("Anchor model", "Lossless verification", "Performance of each node"):
        assert f"## {title}" in tables
    with (scenario.out / "table-model.csv").open() as file:
        (model,) = csv.DictReader(file)
    assert (model["layers"], model["parameters"], model["size_MB"]) == ("31", "3313907", "13.27")
    with (scenario.out / "verification.csv").open() as file:
        assert [row["verdict"] for row in csv.DictReader(file)] == ["PASSED"] * 32
    with (scenario.out / "table-measured.csv").open() as file:
        assert [row["layers_on_client"] for row in csv.DictReader(file)] == ["0", "13", "29", "31"]


def test_a_scenario_that_was_stopped_goes_on_where_it_was(scenario: Place, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(scenario.out, copy)
    cells = copy / "sweep" / "cells.jsonl"
    kept = "".join(cells.read_text().splitlines(keepends=True)[:3])
    cells.write_text(kept)
    (copy / "tables.md").unlink()
    verified = (copy / "verification.csv").stat().st_mtime_ns
    done = Place(tmp_path).orchestrate("scenario", "run", str(copy), "--resume")
    assert_measured(done, copy / "sweep")
    assert cells.read_text().startswith(kept)
    keys = [json.loads(line)["key"] for line in cells.read_text().splitlines()]
    assert len(set(keys[:4])) == 4  # those after were disturbed, and ended twice
    assert (copy / "verification.csv").stat().st_mtime_ns == verified
    assert (copy / "tables.md").exists()


def test_a_scenario_is_not_gone_on_with_under_other_options(
    scenario: Place, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(scenario.out, copy)
    text = (copy / "scenario.yaml").read_text()
    (copy / "scenario.yaml").write_text(text.replace("bw: '50'", "bw: '40'"))
    done = Place(tmp_path).orchestrate("scenario", "run", str(copy), "--resume")
    assert done.returncode == 2
    assert "these have changed since: options" in done.stderr


def test_a_scenario_whose_cells_all_failed_says_so_without_a_traceback(tmp_path: Path) -> None:
    place = Place(tmp_path)
    file = tmp_path / "hasty.yaml"
    sweep = f"{{model: {place.model}, split: '0:6', bw: 5, frame-timeout-s: 0.001, profile: false,"
    sweep += " delivery: false}"
    file.write_text(f"{{clause: x, name: hasty, sweep: {sweep}}}")
    done = place.orchestrate("scenario", "run", str(file), "--out", str(place.out))
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "INVALID" in done.stdout
    assert "network anchor at 5 Mbit/s" in done.stdout
