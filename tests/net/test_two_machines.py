"""A sweep against two machines, configured by files alone."""

import csv
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from orchestrator.ask.sweep.config import sweep_config
from orchestrator.testbed.local import local_model
from splitbed.wire import max_abs_diff
from tests.net.machines import CLIENTS, CLOCK_AHEAD_S, Machines, brought_up
from tests.net.sweeps import ORCHESTRATE, TIMEOUT_S
from tests.node.loopback import small_model
from tests.shared_machine import counts
from tests.triton import asked_by_triton

SIDE = 96  # maps of 0.3 MB: the first two frames that tbf lets pass at once weigh little
pytestmark = pytest.mark.usefixtures("backend")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("machines")


@pytest.fixture(scope="module")
def machines(folder: Path, backend: str) -> Iterator[Machines]:
    with brought_up(folder) as both:
        yield both


def swept(machines: Machines, folder: Path, *options: str) -> "subprocess.CompletedProcess[str]":
    process = machines.popen(
        [
            *(*ORCHESTRATE, "sweep", "--topology", str(machines.topology), "--no-profile"),
            *("--model", str(small_model(folder / "small.onnx", SIDE))),
            *("--out", str(folder / "run"), *options),
        ]
    )
    out, err = process.communicate(timeout=TIMEOUT_S)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


@pytest.fixture(scope="module")
def run(machines: Machines, folder: Path) -> Path:
    done = swept(machines, folder, "--split", "3:3", "--bw", "20,50")
    logs = machines.ue.log.read_text() + machines.edge.log.read_text()
    assert done.returncode in (0, 1), done.stderr + done.stdout + logs
    return folder / "run"


@pytest.mark.parametrize("flow", ["downlink", "remote-source"])
def test_other_flows_are_measured_between_machines_as_well(
    machines: Machines, tmp_path: Path, flow: str
) -> None:
    done = swept(machines, tmp_path, "--flow", flow, "--split", "3:3", "--bw", "50", "--runs", "3")
    table = rows(tmp_path / "run")
    assert [row["split"] for row in table] == ["6:0", "3:3", "0:6"], done.stderr + done.stdout
    for row in table:
        assert counts(row), row["reason"]
        assert float(row["max_abs_diff"] or 0) < 1e-5
    if flow == "remote-source":
        assert "ends on another clock than it began" in table[1]["reason"]


def test_clients_are_answered_on_the_machine_of_the_ue(
    machines: Machines, folder: Path, tmp_path: Path
) -> None:
    model = small_model(tmp_path / "small.onnx", SIDE)
    array = np.ones((1, 3, SIDE, SIDE), np.float32)
    with local_model(sweep_config({"model": str(model)})) as local, local.whole() as session:
        expected = session.run({"image": array})
    asked = ["--model", str(model), "--split", "3:3", "--bw", "50", "--no-delivery"]
    asked += ["--topology", str(machines.topology), "--out", str(tmp_path / "run")]
    serving = machines.popen([*ORCHESTRATE, "serve", *asked])
    try:
        assert serving.stdout
        assert f"small is served at {CLIENTS}" in serving.stdout.readline()
        outputs = asked_by_triton(
            *(CLIENTS, "small", array, tmp_path),
            certs=folder / "certs",
            within=machines.orchestrator,
        )
    finally:
        serving.terminate()
        out, err = serving.communicate(timeout=60)
    assert max_abs_diff(outputs, expected) < 1e-3
    assert "VALID" in out, err


def rows(run: Path) -> list[dict[str, str]]:
    with (run / "summary.csv").open() as file:
        return list(csv.DictReader(file))


def test_the_sweep_measures_them_as_it_does_two_namespaces(run: Path) -> None:
    assert len(rows(run)) == 2 * 3
    assert not [row["reason"] for row in rows(run) if not counts(row)]


def test_the_nodes_shaped_the_link_themselves(run: Path) -> None:
    for row in rows(run):
        assert row["link_backend"] in ("nodes-netem", "nodes-tbf")
        assert abs(float(row["link_mbit"]) / float(row["bw_mbit"]) - 1) < 0.03


def test_one_way_times_are_told_though_the_clocks_differ(run: Path) -> None:
    for row in rows(run):
        if row["split"] == "6:0":
            continue
        unsure_ms = float(row["one_way_uncertainty_ms"])
        assert unsure_ms < float(row["uplink_ms"])
        wire_ms = int(row["encoded_bytes"]) * 8 / (float(row["bw_mbit"]) * 1e3)
        assert float(row["uplink_ms"]) > wire_ms - unsure_ms


def test_the_difference_of_the_clocks_is_kept_with_its_uncertainty(run: Path) -> None:
    for line in (run / "cells.jsonl").read_text().splitlines():
        clock = json.loads(line)["clocks"]["edge"]
        assert abs(clock["offset_ms"] / 1e3 - CLOCK_AHEAD_S) <= clock["uncertainty_ms"] / 1e3
