"""A pair that is kept up for clients, over a link that is shaped."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.ask.sweep.config import sweep_config
from orchestrator.testbed.local import local_model
from splitbed.wire import max_abs_diff
from tests.node.loopback import free_port
from tests.orchestrator.commands import orchestrate
from tests.shared_machine import until
from tests.triton import asked_by_triton


def test_tritonclient_gets_the_outputs_of_a_split_from_an_address(
    backend: str, tmp_path: Path
) -> None:
    address, run, log = f"127.0.0.1:{free_port()}", tmp_path / "run", tmp_path / "log"
    with local_model(sweep_config({"model": "shapesnet"})) as local, local.whole() as session:
        given = local.inputs[0].tensors
        expected = session.run(given)
    argv = [sys.executable, "-m", "orchestrator", "serve", "--model", "shapesnet"]
    argv += ["--split", "stage2", "--bw", "50", "--infer", address, "--out", str(run)]
    with log.open("w") as told:
        serving = subprocess.Popen(argv, stdout=told, stderr=told)
    try:
        until(lambda: address in log.read_text(), serving)
        outputs = asked_by_triton(address, "shapesnet", given["image"], tmp_path)
    finally:
        serving.send_signal(signal.SIGTERM)
        ended = serving.wait(60)
    assert max_abs_diff(outputs, expected) < 1e-3
    kept = json.loads((run / "serve.json").read_text())
    assert kept["address"] == address
    assert len(kept["pair"]["proofs"]) == 2
    assert ended == (kept["verdict"] != "VALID"), log.read_text()
    assert kept["verdict"] in log.read_text()


def test_a_scenario_that_loadgen_does_not_have_is_refused() -> None:
    words = ["loadgen", "--model", "shapesnet", "--split", "stage2", "--bw", "20"]
    ended = orchestrate(*words, "--scenario", "Servers")
    assert ended.code == 2
    assert "did you mean Server" in ended.err


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("--split named --bw 20", "means 5 splits, and one is kept up: give its label"),
        ("--split stage2 --bw 20 --codec raw,int8", "2 are asked for"),
        ("--split stage2 --bw 20 --infer 0.0.0.0:8001", "nothing is encrypted"),
        ("--split stage2 --bw 20 --infer unix:/tmp/x", "give IP:PORT"),
        ("--split stage2 --bw 20 --codec avc-inter", "clients send is no sequence"),
        ("--split stage2 --bw 20 --input-codec hevc-inter:9", "clients send is no sequence"),
        ("--split nowhere --bw 20", "'nowhere' is unknown"),
    ],
)
def test_what_cannot_be_served_is_refused(words: str, why: str) -> None:
    ended = orchestrate("serve", "--model", "shapesnet", *words.split())
    assert ended.code == 2
    assert why in ended.err
