"""What is said of a swept model."""

from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from orchestrator.ask.sweep.config import sweep_config
from orchestrator.testbed.model import load_model
from splitbed.zoo.classifiers.networks import network
from splitbed.zoo.layers import Weightless


@pytest.mark.parametrize("classes", [20, 7])
def test_a_checkpoint_of_other_outputs_has_other_parameters(classes: int, tmp_path: Path) -> None:
    """Of MobileNetV2 2,223,872 and 1281 a class, of which folding takes one for each norm."""
    state = {}
    for row in network("mobilenet_v2", (classes,)):
        if isinstance(row, Weightless):
            continue
        state[f"{row.module}.weight"] = np.zeros(row.shape, np.float16)
        for part in ("weight", "bias", "running_mean", "running_var") if row.norm else ():
            state[f"{row.norm}.{part}"] = np.ones(row.outputs, np.float16)
        if not row.norm:
            state[f"{row.module}.bias"] = np.zeros(row.outputs, np.float16)
    safetensors.numpy.save_file(state, tmp_path / "mine.safetensors")
    options = {"model": "mobilenet_v2", "weights": str(tmp_path / "mine.safetensors")}
    facts = load_model(sweep_config(options), tmp_path).facts
    norms = sum(len(values) for name, values in state.items() if name.endswith("running_mean"))
    caps = 2  # where its ReLUs begin and end
    assert facts.parameters == 2_223_872 + 1281 * classes - norms + caps


def test_without_one_they_are_as_the_clause_counts_them(tmp_path: Path) -> None:
    facts = load_model(sweep_config({"model": "small-mobilenet_v2"}), tmp_path).facts
    assert facts.parameters == 426_872
