"""The small classifiers tell emblems apart that they were not trained on."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import safetensors.numpy

from splitbed.errors import UsageError
from splitbed.media.emblems import EMBLEMS, emblem
from splitbed.media.pictures import normalise
from splitbed.zoo import ZOO, Variant
from splitbed.zoo.classifiers import model, small


@pytest.mark.parametrize(("network", "least"), [("resnet18", 190), ("mobilenet_v2", 145)])
def test_it_names_most_emblems(network: str, least: int) -> None:
    known = ZOO[f"small-{network}"]
    assert known.picture
    built, origin = known.build(Variant("onnx"))
    assert origin.startswith("trained on emblems (seed 1), sha256:")
    session = ort.InferenceSession(built, providers=["CPUExecutionProvider"])
    right = 0
    for place in range(200):
        picture, label = emblem(0, place)
        (logits,) = session.run(None, {"image": normalise(picture, known.picture)})
        right += EMBLEMS[int(logits.argmax())] == label
    assert right > least


@pytest.mark.parametrize("network", small.ROWS)
def test_it_is_valid_small_and_counted(network: str) -> None:
    built, _ = small.build(network)
    onnx.checker.check_model(onnx.load_from_string(built), full_check=True)
    assert model.parameters(small.ROWS[network]()) == ZOO[f"small-{network}"].parameters
    assert small.trained(network).stat().st_size < 1.5e6


def test_other_weights_of_the_same_names_are_taken(tmp_path: Path) -> None:
    state = safetensors.numpy.load_file(small.trained("resnet18"))
    state["fc.bias"] = state["fc.bias"] + 1
    safetensors.numpy.save_file(state, tmp_path / "mine.safetensors")
    built, origin = small.build("resnet18", tmp_path / "mine.safetensors")
    assert origin.startswith("mine.safetensors sha256:")
    held = {value.name: value for value in onnx.load_from_string(built).graph.initializer}
    assert np.array_equal(onnx.numpy_helper.to_array(held["fc.bias"]), state["fc.bias"])


def test_weights_of_the_large_network_are_refused(tmp_path: Path) -> None:
    state = safetensors.numpy.load_file(small.trained("resnet18"))
    state["conv1.weight"] = np.zeros((64, 3, 7, 7), np.float16)
    safetensors.numpy.save_file(state, tmp_path / "other.safetensors")
    with pytest.raises(UsageError, match=r"conv1\.weight: expected \(16, 3, 7, 7\)"):
        small.build("resnet18", tmp_path / "other.safetensors")
