"""A file is opened and run elsewhere before it is opened here: what is refused, what is known."""

import hashlib
from functools import partial
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt
import onnx
import pytest
from ai_edge_litert import schema_py_generated as schema

from splitbed.errors import UsageError
from splitbed.graphs.formats import load_graph
from splitbed.graphs.graph import Graph
from splitbed.graphs.parts import extract_part, store
from splitbed.model_coders.rebuilding import write_outline
from splitbed.model_data import read_model
from splitbed.runtime import tflite, trial
from splitbed.runtime.early import Early
from splitbed.runtime.session import PartSession
from splitbed.tensors import TensorInfo
from splitbed.workers.allowance import ALLOWED, Allowance
from splitbed.workers.worker import Worker
from tests.graphs import tflite_models
from tests.graphs.models import MODELS, looping, model, node, save
from tests.shared_machine import HANG_S
from tests.workers import tasks

X, Y = TensorInfo("x", "FP32", (4,)), TensorInfo("y", "FP32", (-1,))


def opened(path: Path) -> PartSession:
    return PartSession(path, [X], [Y])


def grown(folder: Path, size: int) -> Path:
    """A model that adds its input to as many ones."""
    weights: dict[str, npt.NDArray[np.generic]] = {"size": np.array([size], np.int64)}
    one = onnx.numpy_helper.from_array(np.ones(1, np.float32))
    nodes = [
        node("ConstantOfShape", "size", "ones", value=one),
        node("ReduceSum", "ones", "sum", keepdims=1),
        node("Add", "x sum", "y"),
    ]
    return save(model(nodes, {"x": [4]}, {"y": None}, weights), folder / f"{size}.onnx")


def test_a_file_may_take_so_much_memory_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ALLOWED, "session_bytes", 256 << 20)
    opened(grown(tmp_path, 1 << 20)).close()
    with pytest.raises(UsageError, match=r"cannot run .*\.onnx"):
        opened(grown(tmp_path, 1 << 28))


def test_a_file_that_does_not_end_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ALLOWED, "seconds", 0.5)
    monkeypatch.setattr("splitbed.workers.worker.GRACE_S", HANG_S)
    weights: dict[str, npt.NDArray[np.generic]] = {"size": np.array([2000, 2000], np.int64)}
    one = onnx.numpy_helper.from_array(np.ones(1, np.float32))
    nodes = [
        node("ReduceSum", "x", "sum", keepdims=1),
        node("ConstantOfShape", "size", "ones", value=one),
        node("Mul", "ones sum", "a0"),
        *(node("MatMul", f"a{i} a{i}", f"a{i + 1}") for i in range(1000)),
        node("ReduceSum", "a1000", "y", keepdims=0),
    ]
    proto = model(nodes, {"x": [4]}, {"y": None}, weights)
    with pytest.raises(UsageError, match="at work for too long"):
        opened(save(proto, tmp_path / "long.onnx"))


def test_control_flow_is_refused_as_in_whole_models(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"node '/y/Loop' is control flow \(Loop\)"):
        opened(save(looping(1), tmp_path / "loop.onnx"))


def test_each_of_its_threads_may_compute_as_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    allowed: list[Allowance] = []
    monkeypatch.setattr(trial, "Worker", lambda *given: allowed.append(given[2]))
    trial.Trial(trial.Asked(str(grown(tmp_path, 1)), (X,), (Y,), 3, "onnx"))
    assert [(round(one.seconds), one.threads) for one in allowed] == [(ALLOWED.seconds, 3)]


@pytest.mark.parametrize("size", [0, 1 << 20])
def test_a_size_is_not_taken_for_a_weight_that_was_to_come(tmp_path: Path, size: int) -> None:
    (outline := tmp_path / "outline").mkdir()
    zeros = grown(outline, 0)
    whole = grown(tmp_path, size)
    with Early(trial.Asked(str(whole), (X,), (Y,), 1, "onnx"), zeros) as early:
        early.look()
        early.end(whole, str(size))
    asked = trial.Asked(str(whole), (X,), (Y,), 1, "onnx")
    assert trial.KNOWN.holds(asked.files, asked.run) == (size == 0)


def whole_part(graph: Graph, folder: Path) -> Path:
    """The file of the part of all layers."""
    path = extract_part(store(graph, folder / "stored"), 0, graph.n).path
    assert path is not None
    return path


def outlined(path: Path, outline: Path) -> Path:
    """What is there of a file before its weights."""
    model = read_model(path)
    write_outline(model.layout, model.skeleton, outline)
    return outline


def has_passed_early(whole: Path, outline: Path) -> bool:
    """Whether it needs no trial once its last byte is there."""
    graph = load_graph(whole)
    asked = trial.Asked(str(whole), graph.inputs, graph.outputs, 1, "tflite")
    with Early(asked, outline) as early:
        early.look()
        early.end(whole, hashlib.sha256(whole.read_bytes()).hexdigest())
    return trial.KNOWN.holds(asked.files, asked.run)


@pytest.mark.parametrize("name", ["chain", "int8", "float16", "filled"])
def test_a_tflite_file_passes_before_its_weights_are_there(tmp_path: Path, name: str) -> None:
    """Its sizes are not among these: they stay where they are."""
    build = partial(tflite_models.filled, 4) if name == "filled" else getattr(tflite_models, name)
    graph = tflite_models.saved_graph(build(), tmp_path)
    whole = whole_part(graph, tmp_path)
    outline = outlined(whole, tmp_path / "outline.tflite")
    assert outline.read_bytes() != whole.read_bytes() or name == "filled"
    assert has_passed_early(whole, outline)
    if name == "chain":
        other = tmp_path / "other.tflite"
        data = bytearray(whole.read_bytes())
        data[data.index(b"Conv2d_0/biases")] ^= 1  # no weight is there
        other.write_bytes(data)
        assert not has_passed_early(other, outline)


@pytest.mark.parametrize("name", ["padded", "counted"])
def test_a_tflite_file_whose_weights_are_taken_for_sizes_is_tried_whole(
    tmp_path: Path, name: str
) -> None:
    """As zeros they are harmless, and as what comes they need not be."""
    build = {"padded": tflite_models.padded, "counted": tflite_models.counted}[name]
    try:
        graph = tflite_models.saved_graph(build(), tmp_path)
    except UsageError as error:
        if tflite.package()[0] != "tflite-runtime":
            raise
        pytest.skip(f"an older runtime takes no such file: {error}")
    whole = whole_part(graph, tmp_path)
    assert not has_passed_early(whole, outlined(whole, tmp_path / "outline.tflite"))


def test_tables_among_the_weights_of_a_tflite_file_have_it_tried_whole(tmp_path: Path) -> None:
    """What is in these bytes would be read only when it had passed."""
    proto = tflite_models.chain()
    proto.description = "a chain"
    graph = tflite_models.saved_graph(proto, tmp_path)
    whole = whole_part(graph, tmp_path)
    data = bytearray(whole.read_bytes())
    root = schema.Model.GetRootAs(data, 0)
    place = root._tab.Pos + root._tab.Offset(10)  # which says where the description is
    weights = max(read_model(whole).layout.places, key=lambda one: one.info.nbytes)
    data[place : place + 4] = (weights.offset - place).to_bytes(4, "little")
    data[weights.offset : weights.offset + 8] = b"\1\0\0\0a\0\0\0"  # one letter
    assert schema.Model.GetRootAs(data, 0).Description() == b"a"
    whole.write_bytes(data)
    assert not has_passed_early(whole, outlined(whole, tmp_path / "outline.tflite"))


@pytest.mark.parametrize("form", ["onnx", "tflite"])
def test_a_worker_has_all_that_a_trial_takes_when_it_begins(tmp_path: Path, form: str) -> None:
    """To import it each time took ten times as long as to refuse a file."""
    build = tflite_models.MODELS["chain"] if form == "tflite" else MODELS["chain"]
    path = (tflite_models.save if form == "tflite" else save)(build(), tmp_path / f"chain.{form}")
    graph = load_graph(path)
    trial.expect(form)
    asked = trial.Asked(str(path), graph.inputs, graph.outputs, 1, form)
    question = {"task": f"{trial.__name__}:attempt", "asked": msgspec.to_builtins(asked)}
    task = f"{tasks.__name__}:{tasks.imported.__name__}"
    with Worker(task, question, Allowance.of_files(1)) as worker:
        assert worker.answer() == {"modules": []}


def test_what_lies_in_another_file_is_refused_before_the_last_byte(tmp_path: Path) -> None:
    outline = grown(tmp_path, 1)
    proto = onnx.load(outline)
    proto.graph.initializer.add(name="w", data_location=onnx.TensorProto.EXTERNAL)
    save(proto, outline)
    coming = trial.Asked(str(tmp_path / "coming.onnx"), (X,), (Y,), 1, "onnx")
    with Early(coming, outline) as early, pytest.raises(UsageError, match="lies in another file"):
        early.look()


def test_what_passed_is_not_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = save(MODELS["residual"](), tmp_path / "first.onnx")
    graph = onnx.load(first).graph
    ends = [_info(graph.input[0])], [_info(graph.output[0])]
    PartSession(first, *ends).close()
    monkeypatch.setattr(trial, "Trial", None)
    PartSession(save(MODELS["residual"](), tmp_path / "again.onnx"), *ends).close()
    with pytest.raises(TypeError):
        PartSession(save(MODELS["chain"](), tmp_path / "other.onnx"), *ends)


def _info(info: onnx.ValueInfoProto) -> TensorInfo:
    shape = tuple(dim.dim_value or 1 for dim in info.type.tensor_type.shape.dim)
    return TensorInfo(info.name, "FP32", shape)


def test_a_tflite_file_may_take_so_much_memory_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its tensors are laid out before the first run, or when their sizes are computed."""
    monkeypatch.setattr(ALLOWED, "session_bytes", 256 << 20)
    x, y = TensorInfo("x", "FP32", (4,)), TensorInfo("y", "FP32", (-1,))

    def filled(size: int) -> PartSession:
        path = tflite_models.save(tflite_models.filled(size), tmp_path / f"{size}.tflite")
        return PartSession(path, [x], [y])

    filled(1 << 20).close()
    with pytest.raises(UsageError, match=r"cannot run .*\.tflite"):
        filled(1 << 28)
