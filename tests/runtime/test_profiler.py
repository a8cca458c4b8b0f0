"""What a profile says of parts, and what layers alone say of a model."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from splitbed.errors import NodeError, UsageError
from splitbed.runtime.part_profile import PartProfile, ProfiledPart, layer_times
from splitbed.runtime.profiler import profile
from splitbed.runtime.turns import Turn, least_disturbed
from splitbed.tensors import TensorInfo
from tests.graphs import models, tflite_models


def onnx_chain(folder: Path) -> ProfiledPart:
    path = models.save(models.chain(), folder / "chain.onnx")
    return ProfiledPart(path, (tensor("x", 1, 3, 8, 8),), (tensor("y", 1, 5, 8, 8),), "onnx")


def tflite_chain(folder: Path) -> ProfiledPart:
    path = tflite_models.save(tflite_models.chain(), folder / "chain.tflite")
    return ProfiledPart(path, (tensor("x", 1, 8, 8, 3),), (tensor("y", 1, 4, 4, 5),), "tflite")


def tensor(name: str, *shape: int) -> TensorInfo:
    return TensorInfo(name, "FP32", shape)


def matrix(folder: Path, size: int) -> ProfiledPart:
    """A product with a matrix of ``size`` rows and columns, of 4 bytes each."""
    proto = models.model(
        [models.node("MatMul", "x w", "y")],
        {"x": [1, size]},
        {"y": [1, size]},
        {"w": np.ones((size, size), np.float32)},
    )
    path = models.save(proto, folder / "matrix.onnx")
    return ProfiledPart(path, (tensor("x", 1, size),), (tensor("y", 1, size),), "onnx")


def took(milliseconds: float) -> PartProfile:
    return PartProfile(1.0, 1.0, milliseconds, milliseconds, None, None, None)


@pytest.mark.parametrize("chain", [onnx_chain, tflite_chain])
def test_times_of_every_part_are_taken_with_its_runtime(
    tmp_path: Path, chain: Callable[[Path], ProfiledPart]
) -> None:
    taken = profile([chain(tmp_path)] * 2, threads=1, warmup=1, runs=5)
    for part in taken:
        assert part.init_ms > 0
        assert 0 < part.min_ms <= part.steady_ms < part.init_ms + part.first_ms


def test_as_many_parts_are_profiled_as_there_are_however_slowly_the_process_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("splitbed.runtime.profiler.LOOK_S", 0.01)
    parts = [onnx_chain(tmp_path)] * 500  # their request is more than a pipe holds
    assert len(profile(parts, threads=1, warmup=1, runs=1, timeout_s=60)) == len(parts)


@pytest.mark.parametrize("chain", [onnx_chain, tflite_chain])
def test_parts_run_by_turns_say_what_they_take_and_how_long_they_waited(
    tmp_path: Path, chain: Callable[[Path], ProfiledPart]
) -> None:
    for part in profile([chain(tmp_path)] * 3, threads=1, warmup=1, runs=4, by_turns=3):
        assert 0 < part.min_ms <= part.steady_ms
        assert part.waited_share is not None
        assert part.waited_share >= 0


def test_a_part_counts_where_others_disturbed_it_least() -> None:
    turns = [Turn(30, 12), Turn(10, 0), Turn(20, 6), Turn(12, 0.06), Turn(11, 0.11)]
    told = least_disturbed(turns, 3)
    assert told.ms == 11
    assert told.waited_share == pytest.approx(0.005)


def test_memory_is_that_of_the_first_part_alone(tmp_path: Path) -> None:
    first, second = profile([onnx_chain(tmp_path)] * 2, threads=1, warmup=1, runs=1)
    assert first.overall_memory_bytes is not None
    assert second.init_memory_bytes is second.overall_memory_bytes is None


def test_memory_holds_the_weights_and_not_the_runtime(tmp_path: Path) -> None:
    size = 2048
    (taken,) = profile([matrix(tmp_path, size)], threads=1, warmup=1, runs=1)
    assert taken.overall_memory_bytes is not None
    weights_bytes = size * size * 4
    # read, prepared and a copy freed make three at most; the runtime alone is 50 MB
    assert weights_bytes < taken.overall_memory_bytes < 3.5 * weights_bytes


def test_opening_needs_no_more_memory_than_all_runs(tmp_path: Path) -> None:
    (taken,) = profile([matrix(tmp_path, 512)], threads=1, warmup=1, runs=1)
    assert taken.init_memory_bytes is not None
    assert taken.overall_memory_bytes is not None
    assert taken.init_memory_bytes <= taken.overall_memory_bytes


def test_an_input_that_is_an_output_too_is_no_obstacle(tmp_path: Path) -> None:
    chain = tflite_chain(tmp_path)
    part = ProfiledPart(chain.path, chain.inputs, chain.outputs + chain.inputs, "tflite")
    assert len(profile([part], threads=1, warmup=1, runs=1)) == 1


def test_nothing_to_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="runs=0: none can be below 1"):
        profile([onnx_chain(tmp_path)], threads=1, warmup=1, runs=0)


def test_a_file_that_the_runtime_refuses_is_named(tmp_path: Path) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"not a model")
    part = ProfiledPart(broken, (tensor("x", 1),), (tensor("y", 1),), "onnx")
    with pytest.raises(UsageError, match=r"ONNX Runtime cannot run .*broken\.onnx"):
        profile([part], threads=1, warmup=1, runs=1)


def test_profiling_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    with pytest.raises(NodeError, match=r"took over 0\.1 s: the model is too slow"):
        profile([onnx_chain(tmp_path)], threads=1, warmup=1, runs=1, timeout_s=0.1)


def test_a_process_that_dies_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("splitbed.runtime.profiler.PYTHON", ("false",))
    with pytest.raises(NodeError, match="died with 1"):
        profile([onnx_chain(tmp_path)], threads=1, warmup=1, runs=1)


def test_layers_add_up_to_the_whole() -> None:
    assert sum(layer_times(took(10), [took(6), took(4), took(3)])) == pytest.approx(10)


def test_what_layers_alone_take_longer_is_taken_off_each_alike() -> None:
    assert layer_times(took(10), [took(6), took(4), took(3)]) == pytest.approx([5, 3, 2])


def test_layers_faster_than_the_whole_keep_their_proportions() -> None:
    assert layer_times(took(12), [took(4), took(2)]) == pytest.approx([8, 4])


def test_a_layer_that_costs_less_than_a_call_takes_no_negative_time() -> None:
    assert min(layer_times(took(5), [took(5), took(5), took(0.1)])) >= 0
