"""Classifiers of clause 10.6.4: torchvision's layers, names, weights, and any number of classes."""

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import safetensors.numpy

from splitbed.errors import UsageError
from splitbed.graphs.onnx.graph import load_graph
from splitbed.graphs.splits import resolve
from splitbed.zoo import ZOO, Variant
from splitbed.zoo.classifiers import model
from splitbed.zoo.classifiers.networks import Row, network
from splitbed.zoo.layers import Learnt, Weightless

PARAMETERS = {"vgg16": 138_357_544, "resnet18": 11_689_512, "mobilenet_v2": 3_504_872}
"""Of ImageNet's classes, as torchvision says."""
OF_IMAGENET = {"vgg16": (4096, 4096, 1000)}
NORM = ("weight", "bias", "running_mean", "running_var")


def learnt(name: str, outputs: tuple[int, ...] = ()) -> Iterator[Learnt]:
    rows: Iterator[Row] = network(name, outputs)
    return (row for row in rows if not isinstance(row, Weightless))


def state_of(name: str, outputs: tuple[int, ...] = ()) -> dict[str, np.ndarray]:
    """A state dict in torchvision's layout."""
    rng = np.random.default_rng(0)
    state = {}
    for row in learnt(name, outputs):
        state[f"{row.module}.weight"] = rng.standard_normal(row.shape, np.float32) * 0.1
        if row.norm:
            for part in NORM:
                state[f"{row.norm}.{part}"] = rng.random(row.outputs, np.float32) + 0.5
            state[f"{row.norm}.num_batches_tracked"] = np.array(7)
        else:
            state[f"{row.module}.bias"] = np.zeros(row.outputs, np.float32)
    return state


def saved(state: dict[str, np.ndarray], folder: Path) -> Path:
    path = folder / "mine.safetensors"
    safetensors.numpy.save_file(state, path)
    return path


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters_are_as_torchvision_and_the_clause_count_them(name: str) -> None:
    assert model.parameters(network(name, OF_IMAGENET.get(name, (1000,)))) == PARAMETERS[name]
    assert model.parameters(network(name)) == ZOO[name].parameters


def test_the_file_of_vgg16_has_the_size_that_the_clause_gives() -> None:
    assert 4 * model.parameters(network("vgg16", OF_IMAGENET["vgg16"])) / 2**20 == pytest.approx(
        527.8, abs=0.05
    )


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2"])
def test_seeded_weights_tell_pictures_apart(name: str) -> None:
    built = model.build(name, seed=0)
    onnx.checker.check_model(built, full_check=True)
    session = ort.InferenceSession(built.SerializeToString(), providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(1)
    logits = [
        session.run(None, {"image": rng.standard_normal((1, 3, 224, 224), np.float32)})[0]
        for _ in range(2)
    ]
    assert logits[0].shape == (1, 20)
    assert all(np.isfinite(one).all() and 0.1 < one.std() < 100 for one in logits)
    assert not np.allclose(*logits)


@pytest.mark.parametrize("name", PARAMETERS)
def test_one_map_crosses_each_named_split(name: str, tmp_path: Path) -> None:
    built, _ = ZOO[name].build(Variant("onnx", seed=None))
    (tmp_path / "m.onnx").write_bytes(built)
    graph = load_graph(tmp_path / "m.onnx")
    for label in ZOO[name].named_splits:
        (split,) = resolve(graph, label, ZOO[name].named_splits)
        assert len(graph.cuts[split.k].tensors) == 1, label


@pytest.mark.parametrize("classes", [20, 7])
def test_a_checkpoint_is_taken_with_its_number_of_classes(classes: int, tmp_path: Path) -> None:
    state = state_of("mobilenet_v2", (classes,))
    built = model.build("mobilenet_v2", weights=saved(state, tmp_path))
    assert built.metadata_props[0].value.startswith("mine.safetensors sha256:")
    assert built.graph.output[0].type.tensor_type.shape.dim[1].dim_value == classes
    held = {value.name: onnx.numpy_helper.to_array(value) for value in built.graph.initializer}
    last = "classifier.1.weight"
    assert np.array_equal(held[last], state[last])


def test_fully_connected_layers_of_vgg16_are_found_under_any_number(tmp_path: Path) -> None:
    """Between them are ReLU and dropout, which take numbers of their own."""
    state = state_of("vgg16", (3, 2))
    moved = {key.replace("classifier.1.", "classifier.3."): v for key, v in state.items()}
    built = model.build("vgg16", weights=saved(moved, tmp_path))
    held = {value.name: onnx.numpy_helper.to_array(value) for value in built.graph.initializer}
    assert np.array_equal(held["classifier.1.weight"], state["classifier.1.weight"])
    assert built.graph.output[0].type.tensor_type.shape.dim[1].dim_value == 2


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2"])
def test_weights_of_another_network_are_refused_by_name(name: str, tmp_path: Path) -> None:
    state = {"features.0.weight": np.zeros((64, 3, 3, 3), np.float32)}
    with pytest.raises(UsageError, match=r"do not fit the model:\n  missing: (conv1|features\.0)"):
        model.build(name, weights=saved(state, tmp_path))


@pytest.mark.parametrize("name", PARAMETERS)
def test_logits_are_those_of_torchvision(name: str, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    torchvision = pytest.importorskip("torchvision")
    theirs = getattr(torchvision.models, name)(num_classes=5)
    state = theirs.state_dict()
    for key, values in state.items():
        if key.endswith(("running_mean", "running_var")):
            values.uniform_(0.5, 1.5)
    theirs.eval()
    path = saved({key: values.numpy() for key, values in state.items()}, tmp_path)
    session = ort.InferenceSession(model.build(name, weights=path).SerializeToString())
    picture = torch.randn(1, 3, 224, 224)
    with torch.no_grad():
        expected = theirs(picture).numpy()
    (found,) = session.run(None, {"image": picture.numpy()})
    assert np.abs(found - expected).max() < 1e-5 * max(1, math.fabs(np.abs(expected).max()))
