"""A scenario of detection over a shaped link: what belongs to it, its tables (clause 10.3.9)."""

import csv
from pathlib import Path

import pytest
import yaml

from tests.net.sweeps import Place
from tests.shared_machine import assert_measured

pytestmark = pytest.mark.usefixtures("anchors_once")

SWEEP = {
    "model": "shapesnet",
    "split": "stage2",
    "bw": 50,
    "runs": 3,
    "codec": ["raw", "int8+zstd"],
    "accuracy-frames": 5,
    "profile": False,
    "delivery": False,
}


@pytest.fixture(scope="module")
def scenario(tmp_path_factory: pytest.TempPathFactory, backend: str) -> Place:
    del backend  # only for its skip
    place = Place(tmp_path_factory.mktemp("detection"))
    other = {"clause": "x", "name": "Other", "sweep": SWEEP | {"split": "stage3", "codec": "raw"}}
    main = {"clause": "x", "name": "Main", "sweep": SWEEP, "also": [str(place.folder / "o.yaml")]}
    for name, content in (("o.yaml", other), ("main.yaml", main)):
        (place.folder / name).write_text(yaml.safe_dump(content))
    words = [str(place.folder / "main.yaml"), "--out", str(place.out)]
    done = place.orchestrate("scenario", "run", *words)
    assert_measured(done, place.out / "sweep", place.out / "o" / "sweep")
    return place


def table(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_times_stand_by_node_with_the_network_between(scenario: Place) -> None:
    lines = table(scenario.out / "table-times.csv")
    rows = table(scenario.out / "sweep" / "summary.csv")
    assert [line["codec"] for line in lines] == ["raw", "raw", "int8+zstd", "none"]
    for line, row in zip(lines, rows, strict=True):
        parts = [float(line[f"{name}_ms"]) for name in ("ue", "server", "network")]
        stages = ("part1", "encode", "decode", "part2", "result")
        stages_ms = sum(float(row[f"{name}_ms"] or 0) for name in stages)
        assert sum(parts) == pytest.approx(stages_ms + float(row["network_ms"]), abs=0.01)
        assert float(line["total_ms"]) == pytest.approx(float(row["e2e_ms"]), abs=0.01)
        # a stage is a median of the same frames, each longer than its stages; sums of medians
        # need not be
        longest_ms = max(float(row[f"{name}_ms"] or 0) for name in stages)
        assert longest_ms <= float(row["e2e_ms"])
    assert lines[1]["node"] == "/stage2/1/relu_2/Relu:after"
    assert float(lines[1]["intermediate_MB"]) == 0.2


def test_the_maps_that_cross_are_listed_with_their_sizes(scenario: Place) -> None:
    (line,) = table(scenario.out / "table-maps.csv")
    assert (line["split"], line["size"], line["bytes"]) == ("stage2", "64 x 24 x 32", "196608")


def test_split_and_whole_predictions_agree_where_nothing_was_lost(scenario: Place) -> None:
    raw = [line for line in table(scenario.out / "table-agreement.csv") if line["codec"] == "raw"]
    assert raw
    for line in raw:
        assert (float(line["agreeing"]), float(line["frames"])) == (1, 3)
        assert float(line["box_nmse"]) < 1e-5


def test_what_belongs_to_a_scenario_runs_in_a_folder_of_its_own(scenario: Place) -> None:
    assert (scenario.out / "o" / "sweep" / "summary.csv").exists()
    assert "stage3" in (scenario.out / "o" / "tables.md").read_text()
