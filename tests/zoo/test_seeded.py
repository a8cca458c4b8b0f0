"""Seeded activations behave as a trained network's do: sparse, alive, bounded."""

from collections.abc import Callable

import numpy as np
import pytest

from splitbed.media.pictures import random_inputs
from splitbed.tasks import TASKS
from splitbed.tensors import TensorInfo, Tensors

Run = Callable[[np.ndarray], Tensors]
SMALL = 25  # places of a map; in fewer, a channel that is always on or off says nothing


@pytest.fixture(scope="module")
def noise(run: Run) -> Tensors:
    image = TensorInfo("image", "FP32", (1, 3, 300, 300))
    return run(random_inputs([image], seed=1)["image"])


def shares_of_zeros(maps: Tensors) -> np.ndarray:
    return np.array([np.mean(maps[name] == 0) for name in maps if name.endswith("Relu_output_0")])


def stuck(maps: Tensors) -> float:
    """Largest share of a ReLU's channels that are zero everywhere or nowhere."""
    shares = []
    for name, value in maps.items():
        if name.endswith("Relu_output_0") and value[0, 0].size >= SMALL:
            zeros = (value[0] == 0).mean(axis=(1, 2))
            shares.append(np.mean((zeros == 0) | (zeros == 1)))
    return float(max(shares))


def boxes(maps: Tensors) -> Tensors:
    return TASKS["ssd"].decode({name: maps[name] for name in ("locs", "confs")}, ())


def test_every_relu_of_a_photograph_is_45_to_75_percent_zeros(seen: Tensors) -> None:
    shares = shares_of_zeros(seen)
    assert len(shares) == 50
    assert shares.min() > 0.45
    assert shares.max() < 0.75


def test_sparsity_varies_from_layer_to_layer(seen: Tensors) -> None:
    assert np.ptp(shares_of_zeros(seen)) > 0.1


def test_channels_of_a_layer_differ_in_sparsity(seen: Tensors) -> None:
    last = next(maps for name, maps in seen.items() if "6.5/relu_2/Relu" in name)
    assert np.std((last[0] == 0).mean(axis=(1, 2))) > 0.03


def test_a_photograph_leaves_almost_no_channel_always_on_or_always_off(seen: Tensors) -> None:
    assert stuck(seen) <= 0.05


def test_noise_is_as_sparse_as_a_photograph(noise: Tensors) -> None:
    shares = shares_of_zeros(noise)
    assert shares.min() > 0.40
    assert shares.max() < 0.80


def test_noise_leaves_few_channels_always_on_or_always_off(noise: Tensors) -> None:
    assert stuck(noise) <= 0.10


def test_activations_stay_bounded_through_sixteen_blocks(seen: Tensors) -> None:
    assert max(np.abs(maps).max() for maps in seen.values()) < 100


def test_a_dim_picture_is_as_sparse_as_a_bright_one(
    run: Run, picture: np.ndarray, seen: Tensors
) -> None:
    dim = shares_of_zeros(run(picture / np.float32(3)))
    assert np.abs(dim - shares_of_zeros(seen)).max() < 0.15


def test_a_blank_picture_gives_finite_outputs(run: Run) -> None:
    blank = run(np.zeros((1, 3, 300, 300), np.float32))
    assert all(np.isfinite(maps).all() for maps in blank.values())


def test_a_photograph_has_some_tens_of_boxes(seen: Tensors) -> None:
    assert 5 <= len(boxes(seen)["scores"]) <= 100


def test_boxes_differ_in_score_and_class(seen: Tensors) -> None:
    found = boxes(seen)
    assert found["scores"].max() > 2 * found["scores"].min()
    assert len(set(found["labels"].tolist())) > 3
