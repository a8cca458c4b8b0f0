"""A sweep over a link that the kernel shapes: what a user gets."""

import csv
import json
import math
import shutil
from pathlib import Path

import pytest

from orchestrator.results.reading import read
from orchestrator.results.rows import COLUMNS
from tests.net.sweeps import Place, ended
from tests.node.loopback import LAYERS
from tests.shared_machine import assert_measured, counts

pytestmark = pytest.mark.usefixtures("backend")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, backend: str) -> Place:
    """One sweep of all cuts of the small model over two links, read by several tests."""
    place = Place(tmp_path_factory.mktemp("sweep"))
    done = place.sweep("--split", "all", "--bw", "2,20", "--delay-ms", "5")
    assert_measured(done, place.out)
    (place.folder / "stdout").write_text(done.stdout)
    (place.folder / "stderr").write_text(done.stderr)
    return place


def test_there_is_a_row_for_every_cut_and_both_anchors_over_every_link(place: Place) -> None:
    rows = place.rows()
    assert list(rows[0]) == list(COLUMNS)
    expected = {f"{k}:{LAYERS - k}" for k in range(LAYERS + 1)}
    for bw in ("2", "20"):
        assert {row["split"] for row in rows if row["bw_mbit"] == bw} == expected
    assert all(map(counts, rows))


def test_every_row_names_what_shaped_its_link(place: Place, backend: str) -> None:
    assert {row["link_backend"] for row in place.rows()} == {backend}


def test_the_link_was_proved_to_be_what_was_asked(place: Place) -> None:
    for row in place.rows():
        assert math.isclose(float(row["link_mbit"]), float(row["bw_mbit"]), rel_tol=0.03)
        assert 10 <= float(row["link_rtt_ms"]) <= 13.5


def test_no_frame_beats_its_physical_floor(place: Place) -> None:
    for row in place.rows():
        assert float(row["e2e_over_bound"]) >= 0.98


def test_ten_times_the_rate_makes_the_uplink_several_times_faster(place: Place) -> None:
    cells = [json.loads(line) for line in (place.out / "cells.jsonl").open()]
    mbit = {
        cell["attempt"]: cell["link"]["uplink"]["rate_mbit"]
        for cell in cells
        if cell["split"] == "2:4"
    }
    quickest_ms = dict.fromkeys(mbit.values(), math.inf)
    for sample in (json.loads(line) for line in (place.out / "samples.jsonl").open()):
        if rate := mbit.get(sample["attempt"]):
            [(start_ns, end_ns)] = [s[1:] for s in sample["stages"] if s[0] == "uplink"]
            quickest_ms[rate] = min(quickest_ms[rate], (end_ns - start_ns) / 1e6)
    # 8 KB: 34 ms at 2 Mbit/s, 3.4 ms at 20 Mbit/s, 5 ms of delay either way
    assert quickest_ms[2] > 2.5 * quickest_ms[20]


def test_split_and_whole_model_agree_in_every_row(place: Place) -> None:
    diffs = [row["max_abs_diff"] for row in place.rows() if row["split_name"] != "device anchor"]
    assert all(float(diff) <= 1e-5 for diff in diffs)


def test_stages_and_rest_add_up_to_what_each_process_computed(place: Place) -> None:
    with (place.out / "resources.csv").open() as table:
        lines = [*csv.DictReader(table)]
    assert len(lines) == 2 * len(place.rows())
    for node in ("ue", "edge"):
        own = [line for line in lines if line["node"] == node]
        whole_ms = sum(int(line["frames"]) * float(line["cpu_ms"]) for line in own)
        stages_ms = sum(
            int(line["frames"]) * float(value or 0)
            for line in own
            for name, value in line.items()
            if name.endswith("_cpu_ms")
        )
        assert stages_ms == pytest.approx(whole_ms, rel=0.05)
    for row in place.rows():
        assert 0 < float(row["part1_cpu_ms"]) <= float(row["ue_cpu_ms"]) or row["split"] == "0:6"
        assert (row["ue_energy_mj"], row["ue_energy_source"]) == ("", "none")


def test_a_speed_up_is_against_the_better_anchor_over_the_same_link(place: Place) -> None:
    for bw in ("2", "20"):
        rows = [row for row in place.rows() if row["bw_mbit"] == bw]
        anchors = [row for row in rows if row["split_name"].endswith("anchor")]
        assert len(anchors) == 2
        best = min(float(row["e2e_ms"]) for row in anchors)
        for row in rows:
            expected = best / float(row["e2e_ms"])
            assert math.isclose(float(row["speedup_vs_best_anchor"]), expected, rel_tol=1e-4)


def test_the_data_connection_used_cubic(place: Place) -> None:
    rows = [row for row in place.rows() if row["split_name"] != "device anchor"]
    assert {row["tcp"] for row in rows} == {"cubic"}


def test_the_run_says_what_it_takes_to_repeat_it(place: Place) -> None:
    run = place.run_json()
    assert run["verdict"] == ("INVALID" if run["reasons"] else "VALID")
    assert run["asked"]["bw"] == [2, 20]
    assert run["asked"]["seed"] == 0
    assert {len(run["model"]["sha256"]), len(run["model"]["md5"])} == {64, 32}
    (picture,) = run["model"]["inputs"]
    assert len(picture["sha256"]) == 64
    conditions = run["conditions"]
    assert conditions["kernel"]
    assert conditions["ue"]["packages"]["onnxruntime"]
    for side in ("ue", "edge"):
        assert conditions[side]["mtu"] == 1500
        assert conditions[side]["offloads"].keys() == {"tso", "gso", "gro", "lro"}
    assert conditions["tcp"]["ue"]["tcp_slow_start_after_idle"] == "0"
    assert conditions["link_backend"] == place.rows()[0]["link_backend"]


def test_raw_samples_hold_every_stage_of_every_frame(place: Place) -> None:
    samples = [json.loads(line) for line in (place.out / "samples.jsonl").open()]
    cells = [json.loads(line) for line in (place.out / "cells.jsonl").open()]
    counted = sum(cell["frames"] for cell in cells)  # what was disturbed ended twice
    assert len(samples) == counted >= 3 * len(place.rows())
    for sample in samples:
        names = [name for name, _, _ in sample["stages"]]
        assert names[0] == "preprocess"
        assert len(names) in (3, 8)  # the device anchor has no link


def test_the_table_the_verdict_and_the_advice_are_printed(place: Place) -> None:
    stdout = (place.folder / "stdout").read_text()
    for words in ("network anchor", "device anchor", "3:3", "2 Mbit/s", "VALID", "At 20 Mbit/s"):
        assert words in stdout
    assert "cells over links shaped by" in (place.folder / "stderr").read_text()


def test_a_part_is_delivered_once_over_each_link(place: Place) -> None:
    reading = read(place.out)
    for visits in reading.visits:
        assert len({visit.part1_delivery_ms for visit in visits}) == 1
    by_link = {visits[0].part1_delivery_ms for visits in reading.visits if visits[0].split == "2:4"}
    assert len(by_link) == 2
    assert all(by_link)


def test_nothing_is_left_in_the_temporary_folder(place: Place) -> None:
    assert list(place.temporary.iterdir()) == []


@pytest.fixture(scope="module")
def detected(tmp_path_factory: pytest.TempPathFactory, backend: str) -> tuple[Place, str]:
    """A sweep of ShapesNet whose environment names a proxy, asked for JSON: its answer."""
    del backend  # only for its skip
    place = Place(tmp_path_factory.mktemp("shapesnet"))
    few = ("--no-delivery", "--runs", "3", "--accuracy-frames", "3", "--json")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("http_proxy", "http://127.0.0.1:9")
        done = place.sweep("--model", "shapesnet", "--split", "stage2", "--bw", "50", *few)
    assert_measured(done, place.out)
    return place, done.stdout


def test_json_is_the_rows_and_the_verdict_whatever_proxy_the_environment_names(
    detected: tuple[Place, str],
) -> None:
    place, stdout = detected
    answer = json.loads(stdout)
    assert answer["verdict"] == place.run_json()["verdict"]
    names = {row["split_name"] for row in answer["rows"]}
    assert names == {"network anchor", "stage2", "device anchor"}
    assert answer["run"] == str(place.out)


def test_a_detector_is_cut_and_its_boxes_come_back(detected: tuple[Place, str]) -> None:
    place, _ = detected
    rows = {row["split_name"]: row for row in place.rows()}
    assert rows["stage2"]["intermediate_bytes"] == "196608"
    assert rows["network anchor"]["intermediate_bytes"] == "589824"
    assert rows["device anchor"]["intermediate_bytes"] == "0"
    assert all(row["weights"].startswith("trained on shapes (seed 1)") for row in rows.values())
    assert float(rows["stage2"]["max_abs_diff"]) <= 1e-3
    samples = [json.loads(line) for line in (place.out / "samples.jsonl").open()]
    assert all(sample["results"]["boxes"] > 0 for sample in samples)
    boxes = {(sample["input"], sample["results"]["boxes"]) for sample in samples}
    assert len(boxes) == len({place for place, _ in boxes})  # of a picture, wherever it was cut


def test_a_run_goes_on_only_with_its_model_and_the_conditions_it_began_with(
    place: Place, tmp_path: Path
) -> None:
    copy = Place(tmp_path)
    shutil.copytree(place.out, copy.out)
    run = copy.run_json()
    run["conditions"]["kernel"] = "1.0"
    (copy.out / "run.json").write_text(json.dumps(run))
    model = Path(place.model)
    as_it_was = model.read_bytes()
    model.write_bytes(as_it_was + b"\x32\x00")
    try:
        resumed = copy.orchestrate("sweep", "--resume", str(copy.out))
    finally:
        model.write_bytes(as_it_was)
    assert resumed.returncode == 2
    assert "changed since: " in resumed.stderr
    assert "kernel, model or inputs; start a new sweep" in resumed.stderr


def test_two_sweeps_at_once_do_not_disturb_each_other_though_one_link_loses(
    tmp_path: Path,
) -> None:
    plain, lossy = (Place(tmp_path / name) for name in ("a", "b"))
    for place in (plain, lossy):
        place.folder.mkdir()
    few = ("--split", "3:3", "--no-delivery")
    beside = plain.start(*few, "--bw", "5", "--runs", "3")
    # of so few packets as three frames have, one time in thirty none is lost
    done = lossy.sweep(*few, "--bw", "20", "--loss-pct", "5", "--runs", "9")
    other = ended(beside)
    assert_measured(other, plain.out)
    assert len(plain.rows()) == 3
    assert {row["errors"] for row in lossy.rows()} == {"0"}, done.stderr
    # what was sent again is told
    assert sum(int(row["link_retransmits"] or 0) for row in lossy.rows()) > 0
    for place in (plain, lossy):
        assert len(place.rows()) == 3
        assert list(place.temporary.iterdir()) == []
