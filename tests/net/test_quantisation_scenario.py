"""Scenario 9.4 over a shaped link: the quantised model beside the original (clause 9.4)."""

import csv
from pathlib import Path

import pytest
import yaml

from tests.net.sweeps import Place
from tests.shared_machine import assert_measured

pytestmark = pytest.mark.usefixtures("anchors_once")

SCENARIO = {
    "clause": "9.4",
    "name": "Quantisation",
    "quantisation": {"sequences": ["shapes:0"], "calibration": "shapes:500", "frames": 8},
    "sweep": {
        "model": "shapesnet", "input": "shapes:0", "split": "stage2", "bw": 50, "runs": 3,
        "accuracy-frames": 5, "delivery": False,
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory, backend: str) -> Path:
    del backend  # only for its skip
    place = Place(tmp_path_factory.mktemp("quantisation"))
    (file := place.folder / "mine.yaml").write_text(yaml.safe_dump(SCENARIO))
    done = place.orchestrate("scenario", "run", str(file), "--out", str(place.out))
    assert_measured(done, *(file.parent for file in place.out.rglob("run.json")))
    return place.out


def table(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_both_models_are_swept_and_a_quarter_crosses_of_the_quantised(out: Path) -> None:
    lines = table(out / "table-version-splits.csv")
    cut = next(line for line in lines if line["split"] == "stage2")
    assert float(cut["quantised intermediate_MB"]) == pytest.approx(
        float(cut["original intermediate_MB"]) / 4, abs=1e-3
    )
    assert all(float(line[f"{name} e2e_ms"]) > 0 for line in lines for name in VERSIONS)


def test_times_of_both_nodes_are_told_of_both_models(out: Path) -> None:
    lines = table(out / "table-version-nodes.csv")
    told = [(line["version"], line["node"]) for line in lines]
    assert told == [(name, node) for name in VERSIONS for node in ("UE", "edge")]


def test_precision_and_size_stand_side_by_side(out: Path) -> None:
    original, quantised = table(out / "table-versions.csv")
    assert float(quantised["size_MB"]) < 0.35 * float(original["size_MB"])
    assert "clause 9.4" in (out / "tables.md").read_text()


VERSIONS = ("original", "quantised")
