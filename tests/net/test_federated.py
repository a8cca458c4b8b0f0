"""Federated averaging by Spark, over links: one run of two UEs, one of which is killed at work."""

import csv
from pathlib import Path

import numpy as np
import psutil
import pytest
import safetensors.numpy
import yaml

from orchestrator.federated import spark
from splitbed.federated.classifier import State, fresh, trained
from splitbed.federated.drawn import drawn, shares
from tests.net.sweeps import ORCHESTRATE, Place

ASKED = {
    "ues": 2, "bw": 20, "coder": "dummy", "samples": 120, "held-out": 60, "hidden": 32,
    "faults": ["kill:ue-2:2"], "rounds": 2, "target": 1.0, "limit-s": 60, "seed": 3,
}  # fmt: skip
STARTS_S = 580
"""Eight JVMs start, which takes 20 s, and minutes where many others are at work."""
CLEAN, KILLED = "", "kill:ue-2:2"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, backend: str) -> Place:
    del backend  # only for its skip
    if lacking := [one for one in spark.findings() if not one.ok]:
        pytest.skip("; ".join(f"{one.name}: {one.repair}" for one in lacking))
    place = Place(tmp_path_factory.mktemp("federated averaging"))  # with a space
    scenario = {"clause": "9.3", "name": "Federated averaging", "federated": ASKED}
    (file := place.folder / "mine.yaml").write_text(yaml.safe_dump(scenario))
    argv = [*ORCHESTRATE, "scenario", "run", str(file), "--out", str(place.out)]
    with place.popen(argv) as run:
        told = run.communicate(timeout=STARTS_S)
    assert run.returncode == 0, told
    return place


def rows(place: Place, fault: str) -> list[dict[str, str]]:
    with (place.out / "federated.csv").open(newline="") as stream:
        return [row for row in csv.DictReader(stream) if row["fault"] == fault]


def averaged(there: list[list[int]]) -> State:
    """The model after rounds of these UEs, by a loop in numpy."""
    samples = drawn(120, seed=3)
    own = [samples.at(places) for places in shares(samples.labels, 2, 0.5, seed=3)]
    state: State = fresh(32, seed=3)
    for number, ues in enumerate(there, start=1):
        count = sum(len(own[ue].labels) for ue in ues)
        new = [trained(state, own[ue], epochs=2, rate=0.1, seed=3 + number) for ue in ues]
        state = {
            name: np.sum(
                [
                    len(own[ue].labels) / count * one[name].astype(float)
                    for ue, one in zip(ues, new, strict=True)
                ],
                axis=0,
            ).astype(np.float32)
            for name in state
        }
    return state


@pytest.mark.parametrize(
    ("number", "there"), [(1, [[0, 1], [0, 1]]), (2, [[0, 1], [0]])], ids=["clean", "killed"]
)
def test_spark_averages_as_numpy_does(place: Place, number: int, there: list[list[int]]) -> None:
    got = safetensors.numpy.load_file(place.out / f"model-{number}.safetensors")
    for name, values in averaged(there).items():
        np.testing.assert_allclose(got[name], values, atol=1e-6, rtol=0)


def test_a_killed_ue_is_missed_and_the_round_goes_on(place: Place) -> None:
    told = {(int(row["round"]), row["ue"]): row for row in rows(place, KILLED)}
    assert not told[1, "ue-1"]["missing"] and not told[1, "ue-2"]["missing"]
    assert not told[2, "ue-1"]["missing"]
    assert told[2, "ue-2"]["missing"].startswith(("lost", "gone"))
    assert not told[2, "ue-2"]["samples"]
    assert not told[2, "ue-1"]["problem"]


def test_the_interfaces_carried_model_and_updates(place: Place) -> None:
    clean = rows(place, CLEAN)
    assert len(clean) == 4
    for row in clean:
        for carried, coded in (("up_bytes", "update_bytes"), ("down_bytes", "model_bytes")):
            extra = int(row[carried]) - int(row[coded])
            assert 0 < extra < 200_000, row  # headers, Spark's own words, heartbeats
        # what crosses takes at least what the rate allows
        wire_ms = (int(row["update_bytes"]) + int(row["model_bytes"])) * 8 / 20e3
        assert float(row["link_ms"]) > wire_ms
        assert float(row["round_ms"]) > float(row["link_ms"])


def test_the_tables_have_the_anchor_and_links_that_were_proved(place: Place) -> None:
    with (place.out / "targets.csv").open(newline="") as stream:
        lines = list(csv.DictReader(stream))
    assert [line["coder"] for line in lines] == ["dummy", "dummy", "central"]
    assert all(line["valid"] == "True" for line in lines)
    assert float(lines[0]["link_up_mbit"]) == pytest.approx(20, rel=0.03)
    assert "Time to the target accuracy" in (place.out / "report.html").read_text()


def test_nothing_is_left_of_spark(place: Place) -> None:
    folder = str(place.folder)
    left = [one for one in psutil.process_iter(["cmdline"]) if folder in str(one.info["cmdline"])]
    assert left == []
    assert not list(place.folder.rglob("spark-defaults.conf"))
    began_s = (place.folder / "mine.yaml").stat().st_mtime
    jvms = [*Path("/tmp").glob("spark-*"), *Path("/tmp").glob("*libcommons-crypto*")]
    assert [one for one in jvms if one.stat().st_mtime >= began_s] == []
