"""Sweeps whose nodes compute on a provider: rows say who computed what, and how far off that is.

`make openvino` runs these on an ONNX Runtime that has another provider than the CPU's.
"""

import json
import os
from collections import Counter
from pathlib import Path

import pytest

from tests.graphs import models, tflite_models
from tests.net.sweeps import Place
from tests.shared_machine import blames_the_machine, until

pytestmark = pytest.mark.usefixtures("anchors_once")

EXPECTED = os.environ.get("SPLITBED_EXPECTS_PROVIDER", "")
OPTIONS = ("--bw", "100", "--runs", "3", "--no-delivery")


@pytest.fixture
def place(backend: str, tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_an_unknown_provider_is_refused_before_anything_is_made(place: Place) -> None:
    done = place.sweep("--edge-provider", "qnn")
    assert (done.returncode, "no provider 'qnn' here" in done.stderr) == (2, True)
    assert not place.out.exists()


def test_each_node_computes_on_what_it_was_given(place: Place) -> None:
    if EXPECTED:
        told = ["--ue-provider", "cpu", "--edge-provider", EXPECTED, "--split", "3:3"]
        whos = {"ue": "cpu", "edge": EXPECTED}
    else:
        file = tflite_models.save(tflite_models.chain(), place.folder / "chain.tflite")
        told = ["--model", str(file), "--ue-provider", "builtin", "--edge-provider", "xnnpack"]
        told += ["--split", "2:2"]
        whos = {"ue": "builtin", "edge": "xnnpack"}
    done = place.sweep(*told, *OPTIONS)
    rows = place.rows()
    assert {row["errors"] for row in rows} == {"0"}, done.stderr
    split = next(row for row in rows if "0" not in row["split"].split(":"))
    said = dict(words.split(": ") for words in split["providers"].split("; "))
    assert {node: words.split()[0] for node, words in said.items()} == whos
    assert all(float(row["provider_off"]) <= 1e-3 for row in rows)
    assert not any(row["provider_left"] for row in rows)
    assert place.run_json()["conditions"]["edge"]["provider"] == whos["edge"]


@pytest.mark.skipif(not EXPECTED, reason="`make openvino` has another provider")
def test_what_a_provider_leaves_to_the_cpu_is_in_the_row_and_in_the_verdict(place: Place) -> None:
    file = models.save(models.of_ort_alone(), place.folder / "inverse.onnx")
    told = ("--model", str(file), "--edge-provider", EXPECTED)
    done = place.sweep(*told, "--split", "2:3", *OPTIONS)
    left = {row["split"]: row["provider_left"] for row in place.rows()}
    assert "Inverse" in left["2:3"], done.stderr
    assert "not all ran on the provider" in done.stdout


def test_the_precision_of_each_part_is_an_axis_with_anchors_of_its_own_and_is_gone_on_with(
    place: Place,
) -> None:
    precisions = ("--ue-precision", "int8", "--edge-precision", "fp32,fp16")
    process = place.start("--split", "2:4", *precisions, *OPTIONS)
    until(place.cells, process)
    process.kill()
    process.communicate()
    before = (place.out / "cells.jsonl").read_text()
    place.orchestrate("sweep", "--resume", str(place.out))
    journal = (place.out / "cells.jsonl").read_text()
    assert journal.startswith(before.rpartition("\n")[0])
    keys = [json.loads(line)["key"] for line in journal.splitlines()]
    assert len(before.splitlines()) < len(grid := place.run_json()["grid"])
    # those after were disturbed, and are not VALID
    assert Counter(keys[: len(grid)]) == Counter(grid)
    rows = {(row["split"], row["precision"]): row for row in place.rows()}
    assert [*rows] == [
        ("0:6", ""), ("0:6", "edge fp16"),
        ("2:4", "ue int8"), ("2:4", "ue int8, edge fp16"),
        ("6:0", ""), ("6:0", "ue int8"),
    ]  # fmt: skip
    split = rows["2:4", "ue int8, edge fp16"]
    assert "int8" in split["computed_types"]
    told = "FP32 computes what is FP16 in a file" in split["reason"]
    assert told or blames_the_machine(split["reason"])  # which is told in its place
    assert split["lossless"] == "false"
    assert float(split["accuracy_link_diff"]) < 1e-3
    assert rows["6:0", ""]["lossless"] == "true"
    assert int(rows["6:0", "ue int8"]["part1_bytes"]) != int(rows["6:0", ""]["part1_bytes"])
