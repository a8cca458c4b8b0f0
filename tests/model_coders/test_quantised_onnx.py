"""ONNX models whose weights stay quantised."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from splitbed.errors import UsageError
from splitbed.model_coders import coder_named
from splitbed.model_coders.encoder import encode
from splitbed.model_coders.quantised_onnx import plain
from splitbed.model_data import ModelFile, digest, read_model, write_model
from tests.graphs import models, tflite_models
from tests.model_coders.coding import coded, decoded, weights


@pytest.fixture
def model(tmp_path: Path) -> ModelFile:
    """A convolution, a product, and a constant that is no layer's weight."""
    nodes = [
        models.conv("x", "a", "conv"),
        models.node("Reshape", "a flat", "b"),
        models.node("MatMul", "b dense", "c"),
        models.node("Add", "c offset", "y"),
    ]
    proto = models.model(
        nodes,
        {"x": (1, 3, 8, 8)},
        {"y": (1, 100)},
        {
            "conv": weights(7, 3, 3, 3),
            "flat": np.array([1, -1]),
            "dense": weights(7 * 64, 100, seed=2),
            "offset": weights(1, 100, seed=3),
        },
    )
    return read_model(models.save(proto, tmp_path / "model.onnx"))


def came(model: ModelFile, coder: str) -> ModelFile:
    return decoded(encode(model, coder_named(coder)))


def output(model: ModelFile, path: Path) -> np.ndarray:
    write_model(model, path)
    onnx.checker.check_model(onnx.load(path))
    feeds = {"x": np.random.default_rng(4).random((1, 3, 8, 8), np.float32)}
    (result,) = ort.InferenceSession(path).run(None, feeds)
    assert isinstance(result, np.ndarray)
    return result


@pytest.mark.parametrize("bits", [8, 4])
def test_what_comes_runs_as_it_is_and_gives_what_the_decoded_weights_give(
    model: ModelFile, bits: int, tmp_path: Path
) -> None:
    there = came(model, f"int{bits}-onnx+zstd")
    assert there.nbytes < model.nbytes * bits / 32 + 4000
    assert there.state["conv/levels"].dtype != np.float32
    levels = came(model, f"int{bits}+zstd")
    same = levels.replaced({**levels.state, "offset": model.state["offset"]})
    got, due = output(there, tmp_path / "kept.onnx"), output(same, tmp_path / "levels.onnx")
    np.testing.assert_allclose(got, due, atol=1e-6)
    values = plain(there.state, model.state)
    assert digest(values) == digest(same.state)


def test_what_is_no_layers_weight_is_left_as_it_is(model: ModelFile) -> None:
    there = came(model, "int8-onnx")
    np.testing.assert_array_equal(there.state["offset"], model.state["offset"])
    assert there.state.keys() >= {"conv/levels", "conv/scales", "dense/levels", "dense/scales"}


def test_a_model_of_an_opset_without_scales_for_channels_runs_too(tmp_path: Path) -> None:
    path = models.save(models.chain(opset=11), tmp_path / "model.onnx")
    write_model(came(read_model(path), "int8-onnx"), tmp_path / "kept.onnx")
    ort.InferenceSession(tmp_path / "kept.onnx")


def test_a_model_of_another_format_is_refused(tmp_path: Path) -> None:
    path = tflite_models.save(tflite_models.chain(), tmp_path / "model.tflite")
    with pytest.raises(UsageError, match="for ONNX models, and this one is tflite: use int8"):
        came(read_model(path), "int8-onnx")
    with pytest.raises(UsageError, match="for ONNX models, and this one is safetensors: use int4"):
        coded("int4-onnx")


def test_a_model_without_layers_is_refused(tmp_path: Path) -> None:
    proto = models.model([models.node("Relu", "x", "y")], {"x": (1, 2)}, {"y": (1, 2)})
    path = models.save(proto, tmp_path / "model.onnx")
    with pytest.raises(UsageError, match="finds no FP32 weight of Conv"):
        came(read_model(path), "int8-onnx")
