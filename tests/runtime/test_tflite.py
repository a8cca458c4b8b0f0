"""What runs .tflite files, on whichever of the two packages this environment is for."""

import importlib.util
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from splitbed.errors import MachineError, NodeError, UsageError
from splitbed.graphs.formats import load_graph
from splitbed.graphs.parts import StoredModel, extract, store
from splitbed.media.pictures import random_inputs
from splitbed.runtime import tflite
from splitbed.runtime.session import PartSession
from splitbed.tensors import TensorInfo, Tensors
from tests.graphs import tflite_models
from tests.graphs.models import run_part, run_split

VECTOR = TensorInfo("x", "FP32", (1, 4)), TensorInfo("y", "FP32", (1, 4))


@pytest.fixture
def chain(tmp_path: Path) -> StoredModel:
    path = tflite_models.save(tflite_models.chain(), tmp_path / "chain.tflite")
    return store(load_graph(path), tmp_path / "stored")


@pytest.fixture
def session(chain: StoredModel) -> PartSession:
    whole = extract(chain, chain.graph.n)[0]
    return PartSession(whole.path, whole.inputs, whole.outputs, threads=2)


def pictures(seed: int) -> Tensors:
    return random_inputs([TensorInfo("x", "FP32", (1, 8, 8, 3))], seed)


def one_operator(path: Path, name: str, version: int = 1) -> Path:
    tensors = {info.name: tflite_models.tensor(info.shape) for info in VECTOR}
    proto = tflite_models.model(tensors, [tflite_models.op(name, "x", "y")], "x", "y")
    proto.operatorCodes[0].version = version
    return tflite_models.save(proto, path)


def opened(path: Path) -> PartSession:
    return PartSession(path, VECTOR[:1], VECTOR[1:])


def test_the_package_in_use_is_the_one_that_the_environment_is_for() -> None:
    expected = os.environ.get("SPLITBED_EXPECTS_RUNTIME", "ai-edge-litert")
    assert tflite.package()[0] == expected


@pytest.mark.parametrize("k", [1, 2, 3])
def test_two_parts_give_bit_for_bit_what_the_whole_gives(chain: StoredModel, k: int) -> None:
    whole = run_part(extract(chain, chain.graph.n)[0], pictures(1))
    np.testing.assert_array_equal(run_split(chain, k, pictures(1))["y"], whole["y"])


def test_a_result_outlives_the_next_run(session: PartSession) -> None:
    first = session.run(pictures(1))["y"]
    kept = first.copy()
    session.run(pictures(2))
    np.testing.assert_array_equal(first, kept)


def test_a_result_outlives_its_session(session: PartSession) -> None:
    with session:
        result = session.run(pictures(1))["y"]
        kept = result.copy()
    np.testing.assert_array_equal(result, kept)


def test_threads_that_share_a_session_get_each_their_own_result(session: PartSession) -> None:
    asked = [pictures(seed) for seed in range(40)]
    alone = [session.run(tensors)["y"] for tensors in asked]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(session.run, asked))
    for one, result in zip(alone, together, strict=True):
        np.testing.assert_array_equal(result["y"], one)


def test_tensors_are_told_apart_by_name_whatever_their_order_in_the_file(tmp_path: Path) -> None:
    infos = {name: TensorInfo(name, "FP32", (2,)) for name in ("quotient", "b", "rest", "a")}
    proto = tflite_models.model(
        {name: tflite_models.tensor(info.shape) for name, info in infos.items()},
        [
            tflite_models.op("DIV", "a b", "quotient", schema.DivOptionsT()),
            tflite_models.op("SUB", "a b", "rest", schema.SubOptionsT()),
        ],
        "b a",
        "rest quotient",
    )
    path = tflite_models.save(proto, tmp_path / "model.tflite")
    inputs, outputs = (infos["a"], infos["b"]), (infos["quotient"], infos["rest"])
    with PartSession(path, inputs, outputs) as opened:
        result = opened.run(
            {"a": np.array([12, 20], np.float32), "b": np.array([3, 4], np.float32)}
        )
    assert [list(result[name]) for name in ("quotient", "rest")] == [[4, 5], [9, 16]]


def test_tensors_that_lie_apart_in_memory_are_taken(session: PartSession) -> None:
    apart = {name: np.asfortranarray(value) for name, value in pictures(1).items()}
    np.testing.assert_array_equal(session.run(apart)["y"], session.run(pictures(1))["y"])


def test_an_operator_that_the_runtime_lacks_is_named(tmp_path: Path) -> None:
    path = one_operator(tmp_path / "custom.tflite", "Frobnicate")
    with pytest.raises(UsageError, match=r"cannot run .*custom\.tflite: .*Frobnicate"):
        opened(path)


def test_an_operator_newer_than_the_runtime_is_named(tmp_path: Path) -> None:
    path = one_operator(tmp_path / "newer.tflite", "RELU", version=99)
    with pytest.raises(UsageError, match=r"cannot run .*newer\.tflite: .*'RELU' version '99'"):
        opened(path)


def test_a_file_that_is_no_model_is_named(tmp_path: Path) -> None:
    broken = tmp_path / "broken.tflite"
    broken.write_bytes(b"not a model")
    with pytest.raises(UsageError, match=r"broken\.tflite is not a TFLite file"):
        opened(broken)


def test_a_run_that_fails_says_at_which_operator(tmp_path: Path) -> None:
    index, row = TensorInfo("index", "INT32", (1,)), TensorInfo("row", "FP32", (1, 2))
    tensors = {
        "table": tflite_models.constant(np.zeros((3, 2), np.float32)),
        "index": tflite_models.tensor(index.shape, np.int32),
        "row": tflite_models.tensor(row.shape),
    }
    gather = tflite_models.op("GATHER", "table index", "row", schema.GatherOptionsT())
    proto = tflite_models.model(tensors, [gather], "index", "row")
    path = tflite_models.save(proto, tmp_path / "gather.tflite")
    with (
        PartSession(path, [index], [row]) as session,
        pytest.raises(NodeError, match=r"failed while running the part: .*GATHER"),
    ):
        session.run({"index": np.array([7], np.int32)})


def test_without_either_package_the_message_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MachineError, match=r"pip install ai-edge-litert"):
        opened(tmp_path / "any.tflite")
