"""Scenario 10.5 over two shaped links: its tables, from the frames that crossed them."""

import csv
import json
from pathlib import Path

import pytest
import yaml

from tests.net.sweeps import Place

pytestmark = pytest.mark.usefixtures("anchors_once")

SWEEP = {
    "model": "espcn",
    "flow": "call",
    "input": "shapes",
    "shape": "luma=1x1x96x128",
    "split": "0:6",
    "input-codec": "avc-inter:22",
    "output-codec": "avc-inter:27",
    "bw": 20,
    "runs": 3,
    "accuracy-frames": 3,
    "profile": False,
    "delivery": False,
}


@pytest.fixture(scope="module")
def scenario(tmp_path_factory: pytest.TempPathFactory, backend: str) -> Place:
    del backend  # only for its skip
    place = Place(tmp_path_factory.mktemp("call"))
    content = {"clause": "10.5", "name": "A call", "sweep": SWEEP}
    (place.folder / "call.yaml").write_text(yaml.safe_dump(content))
    words = [str(place.folder / "call.yaml"), "--out", str(place.out)]
    done = place.orchestrate("scenario", "run", *words)
    assert "Tables of the clause" in done.stdout, done.stdout + done.stderr
    return place


def table(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_either_enlarges_and_stages_add_up_to_the_time_from_glass_to_glass(
    scenario: Place,
) -> None:
    network, ue_b = table(scenario.out / "table-times.csv")
    assert (network["enlarged_by"], ue_b["enlarged_by"]) == ("the network", "UE-B")
    for line in (network, ue_b):
        left_out = ("link", "enlarged_by", "codec", "verdict", "bound_ms", "frames_per_s")
        ms = {name: float(value) for name, value in line.items() if name not in left_out}
        total = ms.pop("glass_to_glass_ms")
        assert max(ms.values()) <= total
        assert sum(ms.values()) == pytest.approx(total, rel=0.5)  # medians of three frames each
    assert float(network["network_encode_ms"]) > 0
    assert float(ue_b["network_decode_ms"]) == float(ue_b["network_encode_ms"]) == 0


def test_what_is_handed_on_has_the_bytes_that_came_and_what_is_enlarged_more(
    scenario: Place,
) -> None:
    rows = {row["split_name"]: row for row in table(scenario.out / "sweep" / "summary.csv")}
    up, down = "uplink_bytes", "downlink2_bytes"
    assert rows["device anchor"][up] == rows["device anchor"][down] == rows["network anchor"][up]
    assert float(rows["network anchor"][down]) > float(rows["network anchor"][up])


def test_frames_that_crossed_are_as_good_as_those_that_were_judged_without_a_link(
    scenario: Place,
) -> None:
    rows = {row["split_name"]: row for row in table(scenario.out / "sweep" / "summary.csv")}
    quality = {line["where"]: line for line in table(scenario.out / "table-quality.csv")
               if line["upscaler"] == "espcn"}  # fmt: skip
    for split, where in (("network anchor", "network"), ("device anchor", "ue-b")):
        assert float(rows[split]["accuracy_link_diff"]) == 0
        assert float(rows[split]["accuracy"]) == pytest.approx(
            float(quality[where]["ssim"]), abs=1e-4
        )


def test_the_document_has_the_tables_of_the_clause(scenario: Place) -> None:
    words = ["report", str(scenario.out), "--tr"]
    done = scenario.orchestrate(*words)
    assert "Glass to glass (clause 10.5), ms, over 20 Mbit/s" in done.stdout
    assert "What 30 frames a second would need" in done.stdout
    assert json.loads((scenario.out / "sweep" / "run.json").read_text())["asked"]["flow"] == "call"
