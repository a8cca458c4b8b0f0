"""Whether values of weights decide what a model measures, told of its structure alone."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from onnx import NodeProto, TensorProto

from splitbed.graphs.onnx.parts import settled
from tests.graphs.models import MODELS, model, node, save

WEIGHTS: dict[str, npt.NDArray[np.generic]] = {
    "scales": np.array([1, 1, 2, 2], np.float32),
    "starts": np.array([0, 1], np.int32),
    "ends": np.array([1, 3], np.int32),
    "sizes": np.array([1, 1, 4, 4], np.int64),
    "floats": np.array([1, 1, 4, 4], np.float32),
}


def is_settled(folder: Path, *nodes: NodeProto) -> bool:
    proto = model(nodes, {"x": [1, 1, 4, 4]}, {"y": None}, WEIGHTS)
    return settled(save(proto, folder / "model.onnx")) is not None


@pytest.mark.parametrize("name", ["chain", "residual", "shared weights", "constants"])
def test_weights_that_are_multiplied_decide_no_size(name: str, tmp_path: Path) -> None:
    assert settled(save(MODELS[name](), tmp_path / "model.onnx")) is not None


def test_sizes_that_are_integers_of_64_bits_are_no_weights(tmp_path: Path) -> None:
    assert is_settled(tmp_path, node("Reshape", "x sizes", "y"))


def test_files_are_alike_but_for_values_of_weights(tmp_path: Path) -> None:
    def told(sizes: list[int], kernel: float, axis: int) -> bytes:
        weights: dict[str, npt.NDArray[np.generic]] = {
            "sizes": np.array(sizes, np.int64),
            "kernel": np.full((4, 4), kernel, np.float32),
        }
        nodes = [
            node("MatMul", "x kernel", "m"),
            node("Reshape", "m sizes", "r"),
            node("Concat", "r r", "y", axis=axis),
        ]
        proto = model(nodes, {"x": [1, 1, 4, 4]}, {"y": None}, weights)
        data = (file := save(proto, tmp_path / "model.onnx")).read_bytes()
        ((begin, end),) = settled(file) or []
        assert data[begin:end] == weights["kernel"].tobytes()
        return data[:begin] + data[end:]

    assert told([1, 16], 0, 0) == told([1, 16], 1, 0)
    assert len({told([1, 16], 0, 0), told([2, 8], 0, 0), told([1, 16], 0, 1)}) == 3


def test_integers_that_are_left_out_for_their_length_may_decide_one(tmp_path: Path) -> None:
    weights: dict[str, npt.NDArray[np.generic]] = {"sizes": np.ones(200, np.int64)}
    nodes = [node("Expand", "x sizes", "y")]
    proto = model(nodes, {"x": [1, 1, 4, 4]}, {"y": None}, weights)
    assert settled(save(proto, tmp_path / "model.onnx")) is None


@pytest.mark.parametrize(
    "nodes",
    [
        [node("Upsample", "x scales", "y")],
        [node("Slice", "x starts ends", "y")],
        [
            node("Cast", "floats", "shape", to=TensorProto.INT64),
            node("Reshape", "x shape", "y"),
        ],
        [node("NonZero", "floats", "y")],
        [node("Own", "x floats", "y", domain="own")],
    ],
)
def test_others_may_decide_one(nodes: list[NodeProto], tmp_path: Path) -> None:
    assert not is_settled(tmp_path, *nodes)
