"""Models in which a fault was found, each a member of a kind; ``faults/`` holds their files."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from onnx import TensorProto, helper

from splitbed.errors import UsageError
from splitbed.graphs.graph import Graph
from splitbed.graphs.onnx.graph import load_graph
from splitbed.graphs.parts import store
from splitbed.tensors import DATATYPES, TensorInfo
from tests.graphs import models

FAULTS = Path(__file__).parent / "faults"
CUT: dict[str, dict[str, tuple[int, ...]]] = {
    "cast_weights_first": {},
    "empty_past": {"past": (1, 2, 0, 8)},
    "empty_tensor_crosses": {},
    "ort_layernorm_opset14": {},
    "output_twice": {},
    "qdq_weights_first": {},
    "shape_crosses": {"x": (2, 8)},
    "shape_reshapes": {"x": (2, 8)},
    "unused_input": {},
}
"""Those that can be cut anywhere, with the shapes of their dynamic inputs."""


def load(proto: onnx.ModelProto, tmp_path: Path, **shapes: tuple[int, ...]) -> Graph:
    return load_graph(models.save(proto, tmp_path / "model.onnx"), shapes)


def check_every_cut(proto: onnx.ModelProto, graph: Graph, folder: Path) -> None:
    """Both halves together give what ONNX Runtime makes of the model as it was."""
    stored = store(graph, folder)
    tensors = models.sample(graph.inputs)
    expected = models.run_whole(proto, graph, tensors)
    assert all(cut.crossable for cut in graph.cuts)
    for k in range(graph.n + 1):
        result = models.run_split(stored, k, tensors)
        for name, value in expected.items():
            np.testing.assert_array_equal(result[name], value, f"{name} at cut {k}")


@pytest.mark.parametrize("name", CUT)
def test_a_fault_that_was_found_is_none_any_more(name: str, tmp_path: Path) -> None:
    file = FAULTS / f"{name}.onnx"
    graph = load_graph(file, CUT[name])
    check_every_cut(onnx.load(file), graph, tmp_path / "stored")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("bf16_input", "input 'x' cannot be fed: it is a tensor of BFLOAT16, .*: cast it to FLOAT"),
        ("unknown_operator", "no operator DeformRoi of the domain 'acme', which node 'roi' needs"),
        ("zipmap_output", r"output 'probabilities' is a sequence, .* \(ZipMap\) .* at 'q', as skl"),
    ],
)
def test_what_cannot_be_cut_is_refused_by_name(name: str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        load_graph(FAULTS / f"{name}.onnx")


def test_shapes_and_what_is_made_of_weights_are_no_layers() -> None:
    ops = {
        name: [layer.op for layer in load_graph(FAULTS / f"{name}.onnx", CUT[name]).layers]
        for name in ("shape_reshapes", "cast_weights_first")
    }
    assert ops == {
        "shape_reshapes": ["Relu", "Reshape", "Neg"],
        "cast_weights_first": ["Relu", "Neg", "MatMul", "Abs"],
    }


def test_what_is_made_of_weights_counts_where_it_is_read() -> None:
    graph = load_graph(FAULTS / "cast_weights_first.onnx")
    assert [cut.ue_params for cut in graph.cuts] == [0, 0, 0, 256 * 256, 256 * 256]


def test_weights_made_by_an_operator_never_cross(tmp_path: Path) -> None:
    proto = models.model(
        [
            models.node("ConstantOfShape", "size", "w", value=number(2.0)),
            models.node("Relu", "x", "a"),
            models.node("MatMul", "a w", "b"),
            models.node("MatMul", "b w", "y"),
        ],
        {"x": [1, 4]},
        {"y": [1, 4], "w": [4, 4]},
        {"size": np.array([4, 4])},
    )
    graph = load(proto, tmp_path)
    assert [[t.name for t in cut.tensors] for cut in graph.cuts[:-1]] == [
        ["x"], ["a"], ["b"], ["y"],
    ]  # fmt: skip
    check_every_cut(proto, graph, tmp_path / "stored")


def number(value: float) -> onnx.TensorProto:
    return helper.make_tensor("", TensorProto.FLOAT, [1], [value])


def test_random_weights_are_drawn_once(tmp_path: Path) -> None:
    proto = models.model(
        [
            models.node("RandomNormal", "", "w", shape=[4, 4]),
            models.node("MatMul", "x w", "a"),
            models.node("MatMul", "a w", "y"),
        ],
        {"x": [1, 4]},
        {"y": [1, 4]},
    )
    graph = load(proto, tmp_path)
    assert [t.name for t in graph.cuts[2].tensors] == ["w", "a"]
    assert graph.drawing == ("/w/RandomNormal",)


def test_a_dropout_that_does_not_train_draws_nothing(tmp_path: Path) -> None:
    drawing = {}
    for trains in (False, True):
        proto = models.model(
            [models.node("Relu", "x", "a"), models.node("Dropout", "a ratio trains", "y")],
            {"x": [1, 4]},
            {"y": [1, 4]},
            {"ratio": np.asarray(0.5, np.float32), "trains": np.asarray(trains)},
        )
        drawing[trains] = load(proto, tmp_path).drawing
    assert drawing == {False: (), True: ("/y/Dropout",)}


def quantised(signed: bool, shared: bool = False) -> onnx.ModelProto:
    """Two convolutions in quantised form and a Relu, over a residual branch where ``shared``."""
    kind = np.int8 if signed else np.uint8
    rng = np.random.default_rng(0)
    nodes = [
        models.node("DequantizeLinear", "w_q s wz", "w"),
        models.node("QuantizeLinear", "x s z", "q0"),
        models.node("DequantizeLinear", "q0 s z", "a0"),
        models.node("Conv", "a0 w", "b0", pads=[1, 1, 1, 1]),
        models.node("Relu", "b0", "c0"),
        models.node("QuantizeLinear", "c0 s z", "q1"),
        models.node("DequantizeLinear", "q1 s z", "a1"),
        models.node("Conv", "a1 w", "b1", pads=[1, 1, 1, 1]),
        *([models.node("Add", "b1 a1", "d1")] if shared else []),
        models.node("QuantizeLinear", "d1 s z" if shared else "b1 s z", "q2"),
        models.node("DequantizeLinear", "q2 s z", "y"),
    ]
    weights: dict[str, npt.NDArray[np.generic]] = {
        "w_q": rng.integers(-20, 21, (8, 8, 3, 3)).astype(np.int8),
        "s": np.asarray(0.02, np.float32),
        "wz": np.asarray(0, np.int8),
        "z": np.asarray(3, kind),
    }
    return models.model(nodes, {"x": [1, 8, 6, 6]}, {"y": [1, 8, 6, 6]}, weights)


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("shared", [True, False])
def test_quantised_data_crosses_as_integers(signed: bool, shared: bool, tmp_path: Path) -> None:
    proto = quantised(signed, shared)
    graph = load(proto, tmp_path)
    assert {t.datatype for cut in graph.cuts[1:-1] for t in cut.tensors if t.name[0] == "q"} == {
        "UINT8"
    }
    assert graph.conversion == ("signed quantised data made unsigned" if signed else "")
    ops = [layer.op for layer in graph.layers]
    assert ops[:2] == ["QuantizeLinear", "Conv+Relu+QuantizeLinear"]
    if not shared:
        assert ops[2:] == ["Conv+QuantizeLinear", "DequantizeLinear"]
        check_every_cut(proto, graph, tmp_path / "stored")


def test_a_rounding_of_what_is_computed_in_floating_point_is_a_layer(tmp_path: Path) -> None:
    proto = models.model(
        [
            models.node("Relu", "x", "a"),
            models.node("QuantizeLinear", "a s z", "q"),
            models.node("DequantizeLinear", "q s z", "b"),
            models.node("Neg", "b", "y"),
        ],
        {"x": [4]},
        {"y": [4]},
        {"s": np.asarray(0.5, np.float32), "z": np.asarray(0, np.uint8)},
    )
    assert [layer.op for layer in load(proto, tmp_path).layers] == ["Relu", "QuantizeLinear", "Neg"]


def test_an_input_that_only_its_shape_is_read_of_is_left_out(tmp_path: Path) -> None:
    proto = models.model(
        [
            models.node("Shape", "like", "s"),
            models.node("Relu", "x", "a"),
            models.node("Reshape", "a s", "y"),
        ],
        {"x": [2, 6], "like": ["n", 4]},
        {"y": [None, None]},
    )
    graph = load(proto, tmp_path, like=(3, 4))
    assert [info.name for info in graph.inputs] == ["x"]
    assert graph.outputs[0].shape == (3, 4)


def test_a_dynamic_input_that_nothing_reads_needs_no_shape(tmp_path: Path) -> None:
    proto = models.chain()
    proto.graph.input.append(helper.make_tensor_value_info("mask", TensorProto.INT64, ["n"]))
    assert load(proto, tmp_path).inputs == (TensorInfo("x", "FP32", (1, 3, 8, 8)),)
    assert load(proto, tmp_path, mask=(4,)).n == 4


def test_a_part_of_a_shape_is_folded(tmp_path: Path) -> None:
    proto = models.model(
        [
            models.node("Shape", "x", "s", start=1, end=-1),
            models.node("Size", "x", "size"),
            models.node("Relu", "x", "a"),
            models.node("Concat", "s rest", "target", axis=0),
            models.node("Reshape", "a target", "b"),
            models.node("Cast", "size", "number", to=TensorProto.FLOAT),
            models.node("Mul", "b number", "y"),
        ],
        {"x": ["n", 3, 4]},
        {"y": [None, None]},
        {"rest": np.array([-1])},
    )
    graph = load(proto, tmp_path, x=(2, 3, 4))
    assert [layer.op for layer in graph.layers] == ["Relu", "Reshape", "Mul"]
    check_every_cut(proto, graph, tmp_path / "stored")


def test_a_shape_may_be_an_output(tmp_path: Path) -> None:
    proto = models.model(
        [models.node("Shape", "x", "s"), models.node("Relu", "x", "y")],
        {"x": ["n", 3]},
        {"y": ["n", 3], "s": [2]},
    )
    proto.graph.output[1].type.tensor_type.elem_type = TensorProto.INT64
    graph = load(proto, tmp_path, x=(2, 3))
    assert [[t.name for t in cut.tensors] for cut in graph.cuts] == [["x"], ["y"], ["y", "s"]]
    check_every_cut(proto, graph, tmp_path / "stored")


def test_a_size_that_an_input_says_cannot_be_known(tmp_path: Path) -> None:
    proto = models.model(
        [models.node("Expand", "x size", "a"), models.node("Neg", "a", "y")],
        {"x": [1, 3, 1], "size": [2]},
        {"y": None},
    )
    proto.graph.input[1].type.tensor_type.elem_type = TensorProto.INT64
    cut = load(proto, tmp_path).cuts[1]
    assert cut.obstacle == "the shape of 'a' depends on the data (1x3x?)"


@pytest.mark.parametrize(
    ("op", "reason"),
    [
        ("SequenceConstruct", "'a' is a sequence, and only tensors cross"),
        ("Cast", "'a' is a tensor of strings, and only numbers cross"),
    ],
)
def test_what_crosses_and_is_no_tensor_of_numbers_is_called_what_it_is(
    op: str, reason: str, tmp_path: Path
) -> None:
    pairs = {
        "SequenceConstruct": (
            models.node("SequenceConstruct", "x x", "a"),
            models.node("ConcatFromSequence", "a", "y", axis=0),
        ),
        "Cast": (
            models.node("Cast", "x", "a", to=TensorProto.STRING),
            models.node("Cast", "a", "y", to=TensorProto.FLOAT),
        ),
    }
    graph = load(models.model(pairs[op], {"x": [2, 3]}, {"y": [None, 3]}), tmp_path)
    assert graph.cuts[1].obstacle == reason


@pytest.mark.parametrize("level", ["BASIC", "EXTENDED", "ALL"])
def test_what_the_runtime_has_optimised_and_saved_opens(level: str, tmp_path: Path) -> None:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = getattr(ort.GraphOptimizationLevel, f"ORT_ENABLE_{level}")
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    source = models.residual().SerializeToString()
    ort.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    graph = load_graph(tmp_path / "optimised.onnx")
    assert graph.n > 1
    check_every_cut(models.residual(), graph, tmp_path / "stored")


def test_every_datatype_of_an_input_is_fed_or_refused_by_name(tmp_path: Path) -> None:
    for name, elem_type in TensorProto.DataType.items():
        proto = models.model(
            [models.node("Identity", "x", "a"), models.node("Identity", "a", "y")],
            {"x": [4]},
            {"y": [4]},
        )
        for info in (*proto.graph.input, *proto.graph.output):
            info.type.tensor_type.elem_type = elem_type
        known = name != "UNDEFINED" and helper.tensor_dtype_to_np_dtype(elem_type) in DATATYPES
        if known:
            assert load(proto, tmp_path).n == 2
        else:
            with pytest.raises(UsageError, match=r"input 'x' cannot be fed"):
                load(proto, tmp_path)
