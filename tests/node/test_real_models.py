"""Models in which faults were found, on real nodes: loaded, warmed up, run and profiled."""

from pathlib import Path

import numpy as np
import onnx
import pytest

from orchestrator.ask.sweep.config import sweep_config
from orchestrator.measure.profiling.taking import take_profile
from tests.graphs import models
from tests.graphs.test_faults import CUT, FAULTS
from tests.node.loopback import Splits, loopback_pair


def sized_by_values() -> onnx.ModelProto:
    """A shape that is computed from what was computed of the input, as integers and before."""
    return models.model(
        [
            models.node("ReduceMax", "x", "most", keepdims=0),
            models.node("Mul", "most zero", "nothing"),
            models.node("Add", "nothing sizes", "sides"),
            models.node("Cast", "sides", "shape", to=onnx.TensorProto.INT64),
            models.node("Relu", "x", "a"),
            models.node("Neg", "a", "b"),
            models.node("Reshape", "b shape", "c"),
            models.node("ReduceSum", "c", "y"),
        ],
        {"x": [2, 6]},
        {"y": [1, 1]},
        {"zero": np.zeros(1, np.float32), "sizes": np.array([3, 4], np.float32)},
    )


def test_what_decides_sizes_is_warmed_up_and_profiled_with_values_of_a_run(tmp_path: Path) -> None:
    file = models.save(sized_by_values(), tmp_path / "sized.onnx")
    config = sweep_config({"model": str(file), "ue_threads": 1, "edge_threads": 1})
    with loopback_pair(tmp_path, file=file) as (pair, model):
        splits = Splits(pair, model, warmup=2)
        assert [cut.crossable for cut in model.graph.cuts] == [True] * 7 + [False, True]
        for k in range(7):
            splits.load(k)
            assert splits.run().max_abs_diff < 1e-6
        profile = take_profile(config, model, pair)
    assert [span.first for span in profile.edge.layers] == [0, 1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("name", ["empty_past", "empty_tensor_crosses", "qdq_weights_first"])
def test_what_crosses_may_be_empty_or_quantised(name: str, tmp_path: Path) -> None:
    file, shape = FAULTS / f"{name}.onnx", CUT[name]
    with loopback_pair(tmp_path, file=file, shape=shape) as (pair, model):
        splits = Splits(pair, model, warmup=1)
        for k in range(model.graph.n + 1):
            for codec in ("raw", "zstd"):
                splits.load(k, codec)
                record = splits.run()
                assert record.max_abs_diff == 0
                if k < model.graph.n:
                    assert record.intermediate_bytes == model.graph.cuts[k].nbytes
