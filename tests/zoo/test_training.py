"""The scripts that train what comes with Splitbed: each learns, and its weights are taken."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from splitbed.zoo import espcn, shapesnet
from splitbed.zoo.classifiers import small

ROOT = Path(__file__).parents[2]
ASKED = {
    "shapesnet": "train-shapesnet --steps 12 --batch 4 --frames 16 --held-out 1 --every 1 --fp32",
    "espcn": "train-espcn --steps 48 --batch 4 --videos 3 --held-out 1",
    **{
        network: f"train-emblems {network} --steps 20 --batch 16 --pictures 32 --every 1"
        " --held-out 50"
        for network in small.ROWS
    },
}
RUN_EACH = """
import runpy, sys
for line in sys.stdin:
    path, *sys.argv[1:] = line.split()
    print("==", flush=True)
    runpy.run_path(path, run_name="__main__")
"""

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="PyTorch, of the extra 'torch', is missing"
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, list[str]]]:
    """The weights that each wrote, and what it said: in one process, which loads torch once."""
    out = tmp_path_factory.mktemp("trained")
    files = {name: out / f"{name}.safetensors" for name in ASKED}
    lines = [f"{ROOT}/scripts/{line} --out {files[name]}" for name, line in ASKED.items()]
    ran = subprocess.run(
        [sys.executable, "-c", RUN_EACH],
        input="\n".join(lines),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    said = [words.splitlines() for words in ran.stdout.split("==\n")[1:]]
    return dict(zip(ASKED, zip(files.values(), said, strict=True), strict=True))


def losses(said: list[str]) -> list[float]:
    return [float(line.split()[3].rstrip(",")) for line in said if line.startswith("step")]


def test_shapesnets_lowers_the_loss(trained: dict[str, tuple[Path, list[str]]]) -> None:
    weights, said = trained["shapesnet"]
    assert len(losses(said)) == 12
    assert np.mean(losses(said)[-4:]) < 0.95 * np.mean(losses(said)[:2])
    assert said[-1].startswith("held out: AP")
    shapesnet.build(weights)


@pytest.mark.parametrize("network", small.ROWS)
def test_that_of_emblems_lowers_the_loss(
    trained: dict[str, tuple[Path, list[str]]], network: str
) -> None:
    weights, said = trained[network]
    assert len(losses(said)) == 20
    assert np.mean(losses(said)[-4:]) < 0.95 * np.mean(losses(said)[:2])
    assert said[-1].startswith("held out: accuracy")
    small.build(network, weights)


def test_espcns_begins_at_bicubic_upsampling(trained: dict[str, tuple[Path, list[str]]]) -> None:
    weights, said = trained["espcn"]
    (told,) = (line for line in said if line.startswith("held out"))
    ours, usual = (float(words.split()[-2]) for words in told.split(","))
    assert abs(ours - usual) < 1  # a network that begins at random is some 20 dB off
    espcn.build(weights)
