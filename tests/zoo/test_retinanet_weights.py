"""RetinaNet's checkpoints: torchvision's names, old and new, and its frozen batch norm."""

from pathlib import Path

import numpy as np
import pytest

from splitbed.errors import UsageError
from splitbed.zoo.layers import Conv
from splitbed.zoo.retinanet.layers import convolutions
from splitbed.zoo.retinanet.weights import load, renamed

LAYERS = tuple(
    {
        layer.module: layer
        for layer in convolutions()
        if layer.module in (
            "backbone.body.conv1", "backbone.fpn.inner_blocks.0.0",
            "head.classification_head.conv.1.0", "head.regression_head.bbox_reg",
        )
    }.values()
)  # fmt: skip
STEM = LAYERS[0]
State = dict[str, np.ndarray]


def checkpoint() -> State:
    """A state dict that frozen batch norm leaves."""
    rng = np.random.default_rng(0)
    state: State = {}
    for layer in LAYERS:
        state[f"{layer.module}.weight"] = rng.random(layer.shape, np.float32)
        if layer.norm is None:
            state[f"{layer.module}.bias"] = rng.random(layer.outputs, np.float32)
    for name in ("weight", "bias", "running_mean", "running_var"):
        state[f"{STEM.norm}.{name}"] = rng.random(STEM.outputs, np.float32) + 0.1
    return state


def loaded(
    folder: Path, state: State, layers: tuple[Conv, ...] = LAYERS
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    path = folder / "retinanet.npz"
    np.savez(path, **state)  # type: ignore[arg-type]  # its stub takes allow_pickle for a tensor
    return dict(load(path, layers)[0])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("backbone.fpn.inner_blocks.0.weight", "backbone.fpn.inner_blocks.0.0.weight"),
        ("backbone.fpn.layer_blocks.2.bias", "backbone.fpn.layer_blocks.2.0.bias"),
        ("head.classification_head.conv.0.weight", "head.classification_head.conv.0.0.weight"),
        ("head.regression_head.conv.6.bias", "head.regression_head.conv.3.0.bias"),
    ],
)
def test_names_before_torchvision_0_13_are_known(old: str, new: str) -> None:
    assert renamed(old) == new


@pytest.mark.parametrize(
    "name",
    [
        "backbone.body.conv1.weight",
        "backbone.body.layer1.0.bn1.running_mean",
        "backbone.fpn.inner_blocks.0.0.weight",
        "backbone.fpn.extra_blocks.p6.weight",
        "head.classification_head.conv.2.0.weight",
        "head.regression_head.bbox_reg.bias",
    ],
)
def test_todays_names_stay(name: str) -> None:
    assert renamed(name) == name


def test_a_file_with_old_names_holds_the_same_weights(tmp_path: Path) -> None:
    state = checkpoint()
    old = {
        name.replace("inner_blocks.0.0", "inner_blocks.0").replace("conv.1.0", "conv.2"): values
        for name, values in state.items()
    }
    assert old.keys() != state.keys()
    expected = loaded(tmp_path, state)
    for module, (weight, bias) in loaded(tmp_path, old).items():
        assert np.array_equal(weight, expected[module][0])
        assert np.array_equal(bias, expected[module][1])


@pytest.mark.parametrize(("counted", "epsilon"), [(False, 0), (True, 1e-5)])
def test_frozen_batch_norm_has_no_epsilon(tmp_path: Path, counted: bool, epsilon: float) -> None:
    state = checkpoint()
    variance = np.full(STEM.outputs, 1e-5, np.float32)
    state[f"{STEM.norm}.running_var"] = variance
    if counted:
        state[f"{STEM.norm}.num_batches_tracked"] = np.array(7)
    scale = state[f"{STEM.norm}.weight"] / np.sqrt(variance.astype(np.float64) + epsilon)
    expected = state[f"{STEM.module}.weight"] * scale[:, None, None, None]
    assert np.allclose(loaded(tmp_path, state)[STEM.module][0], expected, rtol=1e-6)


def test_a_variance_of_zero_is_refused_where_there_is_no_epsilon(tmp_path: Path) -> None:
    state = checkpoint()
    state[f"{STEM.norm}.running_var"][3] = 0
    with pytest.raises(UsageError, match=r"backbone.body.bn1.running_var: holds a variance of 0"):
        loaded(tmp_path, state)


def test_a_misfit_is_named_as_torchvision_names_it_today(tmp_path: Path) -> None:
    state = checkpoint()
    del state["backbone.fpn.inner_blocks.0.0.bias"]
    state["head.classification_head.conv.2.weight"] = np.zeros((1, 1), np.float32)
    del state["head.classification_head.conv.1.0.weight"]
    with pytest.raises(UsageError) as refusal:
        loaded(tmp_path, state)
    message = str(refusal.value)
    assert "missing: backbone.fpn.inner_blocks.0.0.bias (256,)" in message
    assert "head.classification_head.conv.1.0.weight: expected (256, 256, 3, 3)" in message
