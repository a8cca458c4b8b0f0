"""Model files, taken apart into named tensors and put together again."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import numpy_helper

from splitbed.errors import MachineError, UsageError
from splitbed.graphs.formats import load_graph
from splitbed.model_data import (
    ModelFile,
    copied,
    digest,
    model_of,
    read_model,
    write_model,
    write_state,
)
from tests.graphs import models, tflite_models

STATE: dict[str, np.ndarray] = {
    "fc.weight": np.arange(12, dtype=np.float32).reshape(3, 4),
    "fc.bias": np.array([0.5, -1, 2], np.float16),
    "steps": np.array(7, np.int64),
    "mask": np.array([True, False, True]),
}


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def rebuilt(model: ModelFile, path: Path) -> Path:
    assert write_model(model, path) == sha256(path)
    assert path.stat().st_size == model.nbytes
    return path


def outputs(path: Path) -> list[np.ndarray]:
    session = ort.InferenceSession(path)
    feeds = {info.name: models.whole(3, *info.shape) for info in session.get_inputs()}
    return list(session.run(None, feeds))


@pytest.mark.parametrize("make", [tflite_models.chain, tflite_models.int8, tflite_models.float16])
def test_a_tflite_file_comes_back_byte_for_byte(make: object, tmp_path: Path) -> None:
    assert callable(make)
    path = tflite_models.save(make(), tmp_path / "model.tflite")
    model = read_model(path)
    assert model.form == "tflite"
    assert model.state
    assert sha256(rebuilt(model, tmp_path / "again.tflite")) == sha256(path)


def test_a_safetensors_file_comes_back_byte_for_byte(tmp_path: Path) -> None:
    path = rebuilt(model_of(STATE), tmp_path / "model.safetensors")
    model = read_model(path)
    for name, array in STATE.items():
        np.testing.assert_array_equal(model.state[name], array, strict=True)
    assert sha256(rebuilt(model, tmp_path / "again.safetensors")) == sha256(path)


def test_an_onnx_file_comes_back_as_one_that_computes_the_same(tmp_path: Path) -> None:
    path = models.save(models.chain(), tmp_path / "model.onnx")
    model = read_model(path)
    assert model.state.keys() >= {"w1"}
    again = rebuilt(model, tmp_path / "again.onnx")
    onnx.checker.check_model(again, full_check=True)
    np.testing.assert_equal(outputs(again), outputs(path))


def test_an_onnx_file_that_was_written_so_comes_back_byte_for_byte(tmp_path: Path) -> None:
    path = models.save(models.chain(), tmp_path / "model.onnx")
    once = rebuilt(read_model(path), tmp_path / "once.onnx")
    assert sha256(rebuilt(read_model(once), tmp_path / "twice.onnx")) == sha256(once)


def test_weights_of_an_onnx_file_that_are_beside_it_are_taken_in(tmp_path: Path) -> None:
    path = models.save(models.chain(), tmp_path / "model.onnx")
    beside = tmp_path / "beside" / "model.onnx"
    beside.parent.mkdir()
    onnx.save_model(onnx.load(path), beside, save_as_external_data=True, size_threshold=0)
    assert digest(read_model(beside).state) == digest(read_model(path).state)
    again = rebuilt(read_model(beside), tmp_path / "again.onnx")
    np.testing.assert_equal(outputs(again), outputs(path))


def test_other_values_make_a_model_that_computes_with_them(tmp_path: Path) -> None:
    model = read_model(models.save(models.chain(), tmp_path / "model.onnx"))
    zeros = model.replaced({name: np.zeros_like(array) for name, array in model.state.items()})
    (result,) = outputs(rebuilt(zeros, tmp_path / "zeros.onnx"))
    assert not result.any()


def test_other_values_make_a_tflite_model_that_computes_with_them(tmp_path: Path) -> None:
    path = tflite_models.save(tflite_models.chain(), tmp_path / "model.tflite")
    model, graph = read_model(path), load_graph(path)
    changed = {
        name: np.zeros_like(array) if array.dtype == np.float32 else array
        for name, array in model.state.items()
    }
    zeros = rebuilt(model.replaced(changed), tmp_path / "zeros.tflite")
    feeds = models.sample(graph.inputs)
    assert any(array.any() for array in tflite_models.run_file(path, graph, feeds).values())
    assert not any(array.any() for array in tflite_models.run_file(zeros, graph, feeds).values())


def listed(path: Path) -> Path:
    """An ONNX file whose weights are lists of numbers."""
    model = onnx.load(models.save(models.chain(), path))
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype == np.float32:
            tensor.ClearField("raw_data")
            tensor.float_data.extend(values.reshape(-1).tolist())
    onnx.save(model, path)
    return path


def beside(path: Path) -> Path:
    """One whose weights are in a file of their own."""
    model = onnx.load(models.save(models.chain(), path))
    onnx.save_model(model, path, save_as_external_data=True, size_threshold=0)
    return path


def state_file(path: Path) -> Path:
    """A state that is no model file."""
    write_state(STATE, path)
    return path


@pytest.mark.parametrize(
    ("name", "make", "is_same"),
    [
        ("raw.onnx", lambda path: models.save(models.chain(), path), True),
        ("listed.onnx", listed, False),
        ("beside.onnx", beside, False),
        ("chain.tflite", lambda path: tflite_models.save(tflite_models.chain(), path), True),
        ("state.safetensors", state_file, True),
        ("state.npz", state_file, False),
    ],
)
def test_a_copy_has_its_tensors_where_it_says(
    name: str, make: Callable[[Path], Path], is_same: bool, tmp_path: Path
) -> None:
    path, to = make(tmp_path / name), tmp_path / "copy"
    layout, data = copied(path, to), (tmp_path / "copy").read_bytes()
    state = read_model(path).state
    assert {place.info.name for place in layout.places} == state.keys()
    for place in layout.places:
        assert data[place.offset : place.end] == state[place.info.name].tobytes()
    assert layout.nbytes == len(data)
    assert (sha256(to) == sha256(path)) is is_same


def test_a_copy_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    path = rebuilt(model_of(STATE), tmp_path / "model.safetensors")
    with pytest.raises(MachineError, match=r"cannot copy .*model\.safetensors"):
        copied(path, tmp_path / "nowhere" / "copy")


def test_a_state_that_does_not_fit_is_refused_by_name() -> None:
    model = model_of(STATE)
    with pytest.raises(UsageError, match=r"fc.weight: FP32 \[3, 4\] due, FP32 \[4, 3\] given"):
        model.replaced(STATE | {"fc.weight": STATE["fc.weight"].T})
    with pytest.raises(UsageError, match=r"more: none due, FP32 \[1\] given"):
        model.replaced(STATE | {"more": np.zeros(1, np.float32)})


def test_a_digest_names_values_whatever_their_order() -> None:
    assert digest(dict(reversed(STATE.items()))) == digest(STATE)
    others = [
        STATE | {"steps": np.array(8)},
        STATE | {"mask": STATE["mask"].reshape(1, 3)},
        STATE | {"fc.bias": STATE["fc.bias"].view(np.uint16)},
        {name.upper(): array for name, array in STATE.items()},
    ]
    assert len({digest(state) for state in [STATE, *others]}) == 5


@pytest.mark.parametrize("suffix", [".npz", ".safetensors", ".pt"])
def test_a_state_may_be_kept_in_a_file_of_each_kind(suffix: str, tmp_path: Path) -> None:
    if suffix == ".pt":
        pytest.importorskip("torch", reason="PyTorch, an optional extra, is not installed")
    path = tmp_path / f"state{suffix}"
    write_state(STATE, path)
    model = read_model(path)
    assert (model.form, digest(model.state)) == ("safetensors", digest(STATE))


def test_a_state_is_not_written_into_another_kind_of_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no state is written as \.onnx"):
        write_state(STATE, tmp_path / "state.onnx")
    with pytest.raises(MachineError, match="cannot write"):
        write_state(STATE, tmp_path / "nowhere" / "state.npz")


@pytest.mark.parametrize("suffix", [".safetensors", ".onnx", ".tflite", ".npz"])
def test_a_damaged_file_is_refused(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"model{suffix}"
    path.write_bytes(b"\x08\x00\x00\x00TFL3" + bytes(range(200)))
    with pytest.raises(UsageError, match=path.name):
        read_model(path)
    path.unlink()
    with pytest.raises(UsageError, match=path.name):
        read_model(path)


def test_text_is_no_weight() -> None:
    with pytest.raises(UsageError, match="'words' is <U2"):
        model_of({"words": np.array(["no"])})
