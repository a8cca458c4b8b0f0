"""Checkpoints: batch norm folded, names of the public file, misfits named one by one."""

import importlib.util
import math
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import pytest
import safetensors.numpy
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from splitbed.errors import MachineError, UsageError
from splitbed.zoo import ssd300
from splitbed.zoo.checkpoints import fold, load
from splitbed.zoo.layers import Conv

LAYERS = (
    Conv("blocks.0", "/c", "image", 3, 8, 3, norm="blocks.1", relu="/r"),
    Conv("loc.0", "/l", "/r", 8, 4),
)
State = dict[str, np.ndarray]


def made_up(layers: tuple[Conv, ...], seed: int = 0) -> State:
    """A checkpoint of the right names and shapes."""
    rng = np.random.default_rng(seed)
    state: State = {}
    for layer in layers:
        fan_in = math.prod(layer.shape[1:])
        state[f"{layer.module}.weight"] = (rng.random(layer.shape, np.float32) - 0.5) / fan_in
        if layer.norm is None:
            state[f"{layer.module}.bias"] = rng.random(layer.outputs, np.float32)
            continue
        for name in ("weight", "bias", "running_mean", "running_var"):
            state[f"{layer.norm}.{name}"] = rng.random(layer.outputs, np.float32) + 0.1
        state[f"{layer.norm}.num_batches_tracked"] = np.array(7)
    return state


@pytest.fixture
def npz(tmp_path: Path) -> Path:
    return saved(tmp_path / "weights.npz", made_up(LAYERS))


def saved(path: Path, state: Mapping[str, np.ndarray]) -> Path:
    np.savez(path, **state)  # type: ignore[arg-type]  # its stub takes allow_pickle for a tensor
    return path


def refusal(path: Path, layers: tuple[Conv, ...] = LAYERS) -> str:
    with pytest.raises(UsageError) as caught:
        load(path, layers)
    return str(caught.value)


def test_a_folded_convolution_does_what_convolution_and_batch_norm_do() -> None:
    layer, state = LAYERS[0], made_up(LAYERS)
    weight, bias = fold(state, layer)
    image = np.random.default_rng(1).random((1, 3, 9, 9), np.float32)
    norm = [f"blocks.1.{name}" for name in ("weight", "bias", "running_mean", "running_var")]
    apart = [
        helper.make_node("Conv", ["image", "blocks.0.weight"], ["raw"]),
        helper.make_node("BatchNormalization", ["raw", *norm], ["out"], epsilon=1e-5),
    ]
    folded = [helper.make_node("Conv", ["image", "w", "b"], ["out"])]
    expected = evaluated(apart, {name: state[name] for name in ("blocks.0.weight", *norm)}, image)
    assert np.allclose(evaluated(folded, {"w": weight, "b": bias}, image), expected, atol=1e-6)


def evaluated(nodes: list[onnx.NodeProto], values: State, image: np.ndarray) -> np.ndarray:
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, list(image.shape))],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(array, name) for name, array in values.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    (out,) = ReferenceEvaluator(model).run(None, {"image": image})
    return np.asarray(out)


def test_a_head_keeps_its_own_weight_and_bias(npz: Path) -> None:
    weights, _ = load(npz, LAYERS)
    state = made_up(LAYERS)
    assert np.array_equal(weights["loc.0"][0], state["loc.0.weight"])
    assert np.array_equal(weights["loc.0"][1], state["loc.0.bias"])


def test_safetensors_hold_the_same_weights_as_npz(npz: Path, tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    safetensors.numpy.save_file(made_up(LAYERS), path)
    for module, (weight, bias) in load(npz, LAYERS)[0].items():
        other = load(path, LAYERS)[0][module]
        assert np.array_equal(weight, other[0])
        assert np.array_equal(bias, other[1])


@pytest.mark.parametrize("prefix", ["module.", "module.1."])
def test_prefixes_of_distributed_training_are_taken_off(tmp_path: Path, prefix: str) -> None:
    state = {prefix + name: values for name, values in made_up(LAYERS).items()}
    assert set(load(saved(tmp_path / "weights.npz", state), LAYERS)[0]) == {"blocks.0", "loc.0"}


def test_half_precision_is_read_as_single(tmp_path: Path) -> None:
    state = {name: values.astype(np.float16) for name, values in made_up(LAYERS).items()}
    weights, _ = load(saved(tmp_path / "weights.npz", state), LAYERS)
    assert weights["loc.0"][1].dtype == np.float32


def test_the_origin_is_the_files_name_and_hash(npz: Path) -> None:
    _, origin = load(npz, LAYERS)
    name, _, digest = origin.partition(" sha256:")
    assert name == "weights.npz"
    assert len(digest) == 64


def test_the_origin_counts_tensors_that_were_not_used(tmp_path: Path) -> None:
    state = made_up(LAYERS) | {"fc.weight": np.zeros(3, np.float32)}
    _, origin = load(saved(tmp_path / "weights.npz", state), LAYERS)
    assert origin.endswith(", 1 tensors unused")


def test_all_misfits_are_named_at_once(tmp_path: Path) -> None:
    state = made_up(LAYERS)
    del state["loc.0.bias"]
    state["blocks.0.weight"] = np.zeros((8, 3, 1, 1), np.float32)
    state["fc.weight"] = np.zeros(3, np.float32)
    message = refusal(saved(tmp_path / "weights.npz", state))
    assert "missing: loc.0.bias (4,)" in message
    assert "blocks.0.weight: expected (8, 3, 3, 3), got (8, 3, 1, 1)" in message
    assert "unexpected (would be ignored): fc.weight" in message
    assert "num_batches_tracked" not in message


def test_a_foreign_checkpoint_is_not_listed_without_end(tmp_path: Path) -> None:
    layers = tuple(ssd300.trunk())
    message = refusal(saved(tmp_path / "weights.npz", {"fc.weight": np.zeros(3)}), layers)
    assert "… and" in message
    assert message.count("\n") < 30


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("loc.0.bias", np.full(4, np.nan, np.float32), "not finite"),
        ("loc.0.bias", np.zeros(4, np.int64), "got int64"),
        ("blocks.1.running_var", np.full(8, -1, np.float32), "negative variance"),
    ],
)
def test_values_that_cannot_be_weights_are_named(
    tmp_path: Path, name: str, value: np.ndarray, reason: str
) -> None:
    message = refusal(saved(tmp_path / "weights.npz", made_up(LAYERS) | {name: value}))
    assert name in message
    assert reason in message


def test_pickled_objects_are_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "weights.npz", {"loc.0.bias": np.array([{}], dtype=object)})
    assert "cannot read" in refusal(path)


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
@pytest.mark.parametrize("data", [b"", b"not weights at all", b"PK\x03\x04 cut off"])
def test_a_damaged_file_is_refused(tmp_path: Path, suffix: str, data: bytes) -> None:
    path = tmp_path / f"weights{suffix}"
    path.write_bytes(data)
    assert str(path) in refusal(path)


def test_an_array_file_called_npz_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.npz"
    with path.open("wb") as file:
        np.save(file, np.zeros(3))
    assert str(path) in refusal(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    assert "no such file" in refusal(tmp_path / "weights.npz")


def test_an_unknown_kind_of_file_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    assert ".safetensors" in refusal(tmp_path / "weights.h5")


def test_without_torch_a_pt_file_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    path = tmp_path / "weights.pt"
    path.write_bytes(b"")
    with pytest.raises(MachineError, match=r"pip install 'splitbed\[torch\]'"):
        load(path, LAYERS)


needs_torch = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="PyTorch, an optional extra, is not installed"
)


@needs_torch
@pytest.mark.parametrize("wrapped", [False, True])
def test_a_pt_file_holds_the_same_weights_as_npz(npz: Path, tmp_path: Path, wrapped: bool) -> None:
    import torch

    state = {name: torch.tensor(values) for name, values in made_up(LAYERS).items()}
    path = tmp_path / "weights.pt"
    torch.save({"epoch": 64, "model": state} if wrapped else state, path)
    for module, (weight, bias) in load(npz, LAYERS)[0].items():
        other = load(path, LAYERS)[0][module]
        assert np.array_equal(weight, other[0])
        assert np.array_equal(bias, other[1])


@needs_torch
def test_a_pt_file_that_is_not_a_state_dict_is_refused(tmp_path: Path) -> None:
    import torch

    path = tmp_path / "weights.pt"
    torch.save([1, 2], path)
    assert str(path) in refusal(path)


@needs_torch
def test_a_pt_file_that_would_run_code_is_refused(tmp_path: Path) -> None:
    import torch

    path = tmp_path / "weights.pt"
    torch.save({"model": Path}, path)
    assert str(path) in refusal(path)


def test_ssd300_takes_the_weights_of_a_whole_checkpoint(tmp_path: Path) -> None:
    layers = (*ssd300.trunk(), *ssd300.heads())
    state = made_up(layers)
    path = tmp_path / "ssd300.safetensors"
    safetensors.numpy.save_file(state, path)
    model = ssd300.build(weights=path)
    built = {value.name: numpy_helper.to_array(value) for value in model.graph.initializer}
    for layer in (layers[0], layers[-1]):
        weight, bias = fold(state, layer)
        assert np.array_equal(built[f"{layer.module}.weight"], weight)
        assert np.array_equal(built[f"{layer.module}.bias"], bias)
    assert model.metadata_props[0].value.startswith("ssd300.safetensors sha256:")


def test_names_and_number_of_batch_norms_are_those_of_the_public_checkpoint() -> None:
    """torchvision's resnet50 has 53 batch norms; 43 of them are kept, and 10 are added."""
    state = made_up((*ssd300.trunk(), *ssd300.heads()))
    norms = [name for name in state if name.endswith("running_var")]
    assert len(norms) == 43 + 10
    assert "feature_extractor.feature_extractor.4.0.downsample.1.running_var" in norms
    assert "feature_extractor.feature_extractor.1.weight" in state
    assert "additional_blocks.4.4.weight" in state
    assert state["conf.1.weight"].shape == (6 * 81, 512, 3, 3)
