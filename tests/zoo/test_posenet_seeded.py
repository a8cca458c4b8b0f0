"""PoseNet's seeded activations are a trained network's in kind: sparse, alive, below six."""

import functools

import numpy as np
import onnx
import pytest

from splitbed.media.pictures import random_inputs
from splitbed.tensors import TensorInfo
from splitbed.zoo.posenet.layers import WIDTHS, layers
from tests.zoo.test_posenet import Outputs, built, picture, run_onnx

BLANK = np.zeros((1, 3, 257, 257), np.float32)


@functools.cache
def probed(width: float) -> bytes:
    """The model, with what each ReLU6 puts out among its outputs."""
    model = onnx.load_from_string(built("onnx", width))
    for row in layers(width)[:27]:
        model.graph.output.append(onnx.helper.make_tensor_value_info(row.output, 1, None))
    return bytes(model.SerializeToString())


@functools.cache
def seen(width: float = 1.0) -> Outputs:
    """What the default picture makes of every layer."""
    return run_onnx(probed(width), picture())


def shares_of(limit: float, maps: Outputs) -> np.ndarray:
    return np.array([np.mean(maps[name] == limit) for name in maps if "Relu6" in name])


def stuck(maps: Outputs) -> float:
    """Largest share of a layer's channels that are zero everywhere or nowhere."""
    shares = [(maps[name][0] == 0).mean(axis=(1, 2)) for name in maps if "Relu6" in name]
    return max(float(np.mean((zeros == 0) | (zeros == 1))) for zeros in shares)


def scores(maps: Outputs) -> np.ndarray:
    """Of each key point, at its best place."""
    best = maps["heatmap_2"][0].max(axis=(1, 2)).astype(float)
    return np.asarray(1 / (1 + np.exp(-best)))


@pytest.mark.parametrize("width", WIDTHS)
def test_every_relu6_of_a_photograph_is_10_to_65_percent_zeros(width: float) -> None:
    zeros = shares_of(0, seen(width))
    assert len(zeros) == 27
    assert zeros.min() > 0.10
    assert zeros.max() < 0.65


@pytest.mark.parametrize("width", WIDTHS)
def test_every_relu6_of_a_photograph_has_some_sixes_but_few(width: float) -> None:
    sixes = shares_of(6, seen(width))
    assert sixes.min() > 0
    assert sixes.max() < 0.05


@pytest.mark.parametrize("width", WIDTHS)
def test_a_photograph_leaves_almost_no_channel_always_on_or_always_off(width: float) -> None:
    assert stuck(seen(width)) <= 0.10


def test_sparsity_varies_from_layer_to_layer() -> None:
    assert np.ptp(shares_of(0, seen())) > 0.15


def test_noise_saturates_few_places() -> None:
    image = TensorInfo("image", "FP32", BLANK.shape)
    noise = np.asarray(random_inputs([image], seed=1)["image"]).clip(-1, 1)
    maps = run_onnx(probed(1.0), noise)
    assert shares_of(0, maps).max() < 0.65
    assert shares_of(6, maps).max() < 0.15


def test_a_dim_picture_is_as_sparse_as_a_bright_one() -> None:
    dim = shares_of(0, run_onnx(probed(1.0), picture() / np.float32(3)))
    assert np.abs(dim - shares_of(0, seen())).max() < 0.15


def test_a_blank_picture_gives_finite_outputs() -> None:
    assert all(np.isfinite(maps).all() for maps in run_onnx(probed(1.0), BLANK).values())


@pytest.mark.parametrize("width", WIDTHS)
def test_a_photograph_has_some_key_points_but_not_all(width: float) -> None:
    found = np.sum(scores(seen(width)) > 0.5)
    assert 3 <= found <= 14


def test_key_points_differ_in_score() -> None:
    assert np.ptp(scores(seen())) > 0.2


def test_offsets_are_some_pixels_and_displacements_some_tens() -> None:
    deviations = [seen()[name].std() for name in ("offset_2", "displacement_fwd_2")]
    assert 4 < deviations[0] < 16 < deviations[1] < 64


def test_a_blank_picture_has_no_key_point() -> None:
    assert scores(run_onnx(probed(1.0), BLANK)).max() < 0.5
