"""Parts that are run on several frames together, and those that cannot be."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from ai_edge_litert import schema_py_generated as schema

from splitbed.errors import NodeError, UsageError
from splitbed.media.pictures import random_inputs
from splitbed.runtime.batch import TOLERANCE, BatchSession, most_together
from splitbed.runtime.session import PartSession
from splitbed.runtime.trial import Asked, tried_together
from splitbed.tensors import TensorInfo, Tensors
from tests.graphs import tflite_models
from tests.graphs.models import conv, model, node, whole
from tests.graphs.tflite_models import constant, op, tensor

X, Y = TensorInfo("x", "FP32", (1, 4)), TensorInfo("y", "FP32", (1, 4))
ROWS = {"x": (1, 2, 4)}


def onnx_file(
    folder: Path, *nodes: onnx.NodeProto, x: tuple[int, ...] = (1, 4), **weights: Any
) -> Path:
    onnx.save(model(nodes, {"x": x}, {"y": None}, weights), path := folder / "part.onnx")
    return path


def session(path: Path, x: TensorInfo = X, y: TensorInfo = Y) -> BatchSession:
    return BatchSession(PartSession(path, [x], [y]), path, path.suffix[1:])


def info(name: str, *shape: int) -> TensorInfo:
    return TensorInfo(name, "FP32", shape)


def test_frames_together_give_what_each_gives_alone(tmp_path: Path) -> None:
    path = onnx_file(tmp_path, conv("x", "y", "w"), x=(1, 3, 8, 8), w=whole(0, 5, 3, 3, 3))
    ends = info("x", 1, 3, 8, 8), info("y", 1, 5, 8, 8)
    alone = PartSession(path, ends[:1], ends[1:])
    frames = [random_inputs(ends[:1], seed) for seed in range(5)]
    together = BatchSession(alone, path, "onnx").run(frames)
    for one, made in zip(frames, together, strict=True):
        np.testing.assert_array_equal(made["y"], alone.run(one)["y"])
        assert made["y"].flags.c_contiguous


def test_a_tflite_part_is_laid_out_anew_for_as_many_as_there_are(tmp_path: Path) -> None:
    path = tflite_models.save(tflite_models.chain(), tmp_path / "part.tflite")
    ends = info("x", 1, 8, 8, 3), info("y", 1, 4, 4, 5)
    alone = PartSession(path, ends[:1], ends[1:])
    batch = BatchSession(alone, path, "tflite")
    for count in (3, 1, 3, 2):
        frames = [random_inputs(ends[:1], seed) for seed in range(count)]
        for one, made in zip(frames, batch.run(frames), strict=True):
            np.testing.assert_array_equal(made["y"], alone.run(one)["y"])
    assert batch.prove(4) == 0


def test_several_inputs_and_outputs_and_what_passes_through_stay_each_frames_own(
    tmp_path: Path,
) -> None:
    nodes = [node("Add", "x z", "sum"), node("Relu", "x", "y")]
    ends = {"x": (1, 4), "z": (1, 4)}, {"sum": (1, 4), "y": (1, 4)}
    onnx.save(model(nodes, *ends), path := tmp_path / "part.onnx")
    inputs, outputs = (
        [info(name, *shape) for name, shape in end.items()]
        for end in (ends[0] | {"p": (3,)}, ends[1] | {"p": (3,)})
    )
    alone = PartSession(path, inputs, outputs, passthrough=["p"])
    batch = BatchSession(alone, path, "onnx")
    frames = [random_inputs(inputs, seed) for seed in range(3)]
    for one, made in zip(frames, batch.run(frames), strict=True):
        expected = alone.run(one)
        assert [*made] == ["sum", "y", "p"]
        assert all(np.array_equal(made[name], expected[name]) for name in made)
    assert batch.prove(3) == 0


@pytest.mark.parametrize("sizes", [(1, -1), (1, 8), (2, -1)])
def test_a_reshape_to_a_constant_batch_is_opened(tmp_path: Path, sizes: tuple[int, int]) -> None:
    shape = np.array(sizes, np.int64)
    path = onnx_file(tmp_path, node("Reshape", "x s", "y"), x=ROWS["x"], s=shape)
    y = (2, 4) if sizes[0] == 2 else (1, 8)
    batch = session(path, info("x", *ROWS["x"]), info("y", *y))
    if sizes == (2, -1):  # as many rows as the batch has is not what it reshapes to
        with pytest.raises(UsageError, match="an operator fixes that"):
            batch.prove(2)
    else:
        assert batch.prove(3) == 0


def test_a_reshape_of_a_tflite_part_is_opened(tmp_path: Path) -> None:
    tensors = {"x": tensor([1, 2, 4]), "s": constant(np.array([1, 8], np.int32))}
    reshape = op("RESHAPE", "x s", "y", schema.ReshapeOptionsT(newShape=[1, 8]))
    made = tflite_models.model(tensors | {"y": tensor([1, 8])}, [reshape], "x", "y")
    path = tflite_models.save(made, tmp_path / "part.tflite")
    assert session(path, info("x", 1, 2, 4), info("y", 1, 8)).prove(3) == 0


def test_a_part_that_mixes_frames_is_refused(tmp_path: Path) -> None:
    path = onnx_file(tmp_path, node("Softmax", "x", "y", axis=0))
    with pytest.raises(UsageError, match=r"'y' of a frame among others is off by .*mixes them"):
        session(path).prove(2)


def test_a_part_that_fixes_the_batch_is_refused_with_the_operator(tmp_path: Path) -> None:
    nodes = node("Concat", "x w", "y", axis=1)
    path = onnx_file(tmp_path, nodes, w=whole(0, 1, 4))
    with pytest.raises(UsageError, match=r"Concat node.*Name:'/y/Concat'"):
        session(path, y=info("y", 1, 8)).prove(2)


def test_an_output_whose_size_the_input_decides_is_nobodys(tmp_path: Path) -> None:
    places = node("NonZero", "x", "places"), node("Transpose", "places", "rows")
    path = onnx_file(tmp_path, *places, node("Cast", "rows", "y", to=onnx.TensorProto.FLOAT))
    with pytest.raises(UsageError, match="no first axis of a known size"):
        session(path, y=info("y", -1, 2)).prove(2)


def test_the_largest_difference_is_told_of_the_largest_value(tmp_path: Path) -> None:
    path = onnx_file(tmp_path, node("MatMul", "x w", "y"), w=np.random.rand(4, 4).astype("f4"))
    assert 0 <= session(path).prove(8) <= TOLERANCE


def test_it_is_tried_elsewhere_and_once(tmp_path: Path) -> None:
    path = onnx_file(tmp_path, node("Relu", "x", "y"))
    asked = Asked(str(path), (X,), (Y,), 1, "onnx", together=4)
    assert tried_together(asked) == 0
    assert tried_together(asked) == 0
    mixing = onnx_file(tmp_path, node("CumSum", "x a", "y"), a=np.array(0, np.int64))
    with pytest.raises(UsageError, match="mixes them"):
        tried_together(Asked(str(mixing), (X,), (Y,), 1, "onnx", together=4))


def test_so_many_run_together_as_memory_is_allowed_for(tmp_path: Path) -> None:
    path = onnx_file(tmp_path, node("Relu", "x", "y"))
    assert most_together(PartSession(path, [X], [Y]), 5 * X.nbytes) == 5


def test_a_frame_of_another_shape_is_refused_before_any_is_run(tmp_path: Path) -> None:
    batch = session(onnx_file(tmp_path, node("Relu", "x", "y")))
    frames: list[Tensors] = [{"x": np.zeros((1, size), np.float32)} for size in (4, 5)]
    with pytest.raises(NodeError, match=r"takes 'x' as float32 \[1, 4\], but got"):
        batch.run(frames)
