"""What crosses each cut, what each side costs, and that both halves make the whole."""

from pathlib import Path

import numpy as np
import onnx
import pytest

from splitbed.errors import UsageError
from splitbed.graphs.graph import Graph
from splitbed.graphs.onnx import trial
from splitbed.graphs.onnx.graph import load_graph
from splitbed.graphs.parts import extract, extract_part, store
from tests.graphs import models


def load(proto: onnx.ModelProto, tmp_path: Path) -> Graph:
    return load_graph(models.save(proto, tmp_path / "model.onnx"))


def crossing(graph: Graph) -> list[list[str]]:
    return [[tensor.name for tensor in cut.tensors] for cut in graph.cuts]


@pytest.mark.parametrize("name", models.MODELS)
def test_parts_give_the_bits_of_the_whole_at_every_cut(name: str, tmp_path: Path) -> None:
    proto = models.MODELS[name]()
    graph = load(proto, tmp_path)
    stored = store(graph, tmp_path / "stored")
    tensors = models.sample(graph.inputs)
    expected = models.run_whole(proto, graph, tensors)
    for k in range(graph.n + 1):
        result = models.run_split(stored, k, tensors)
        assert list(result) == list(expected)
        for output, value in expected.items():
            np.testing.assert_array_equal(result[output], value, f"{output} at cut {k}")


def test_a_head_makes_its_own_outputs_alone_at_every_cut(tmp_path: Path) -> None:
    stored = store(load(models.several(), tmp_path), tmp_path / "stored")
    n, tensors = stored.graph.n, models.sample(stored.graph.inputs)
    whole = models.run_part(extract_part(stored, 0, n), tensors)
    for k in range(n + 1):
        features = models.run_part(extract_part(stored, 0, k), tensors)
        for head in ((0,), (1, 2), (2,)):
            part = extract_part(stored, k, n, head)
            names = [stored.graph.outputs[place].name for place in head]
            result = models.run_part(part, features)
            assert list(result) == names
            for name in names:
                np.testing.assert_array_equal(result[name], whole[name], f"{name} at cut {k}")


def test_a_chain_crosses_one_tensor_at_each_cut(tmp_path: Path) -> None:
    assert crossing(load(models.chain(), tmp_path)) == [["x"], ["a"], ["b"], ["c"], ["y"]]


def test_a_residual_branch_crosses_beside_the_main_one(tmp_path: Path) -> None:
    graph = load(models.residual(), tmp_path)
    assert crossing(graph) == [["x"], ["a"], ["a", "b"], ["a", "c"], ["d"], ["y"]]


def test_parallel_branches_cross_together(tmp_path: Path) -> None:
    graph = load(models.inception(), tmp_path)
    assert crossing(graph) == [["x"], ["a"], ["a", "b"], ["a", "b", "c"], ["b", "c", "d"], ["y"]]


def test_late_inputs_and_early_outputs_cross_until_the_end(tmp_path: Path) -> None:
    assert crossing(load(models.several(), tmp_path)) == [
        ["x", "late"],
        ["late", "early"],
        ["late", "early", "b"],
        ["late", "early", "c"],
        ["late", "early", "y"],
        ["early", "y", "z"],
    ]


def test_what_passes_through_a_part_needs_no_session(tmp_path: Path) -> None:
    stored = store(load(models.several(), tmp_path), tmp_path / "stored")
    part1, part2 = extract(stored, 2)
    assert (part1.passthrough, part2.passthrough) == (("late",), ("early",))


def test_bytes_of_a_cut_are_those_of_its_tensors(tmp_path: Path) -> None:
    graph = load(models.residual(), tmp_path)
    assert [cut.nbytes for cut in graph.cuts] == [768, 2048, 4096, 4096, 2048, 2048]


def test_parameters_are_counted_on_the_side_that_uses_them(tmp_path: Path) -> None:
    cuts = load(models.chain(), tmp_path).cuts
    assert [cut.ue_params for cut in cuts] == [0, 216, 216, 576, 576]
    assert [cut.edge_params for cut in cuts] == [576, 360, 360, 0, 0]


def test_shared_parameters_are_counted_on_both_sides(tmp_path: Path) -> None:
    cuts = load(models.shared_weights(), tmp_path).cuts
    assert [cut.ue_params for cut in cuts] == [0, 576, 576, 576, 1152]
    assert [cut.edge_params for cut in cuts] == [1152, 1152, 1152, 576, 0]


def test_macs_of_a_convolution_are_outputs_times_kernel(tmp_path: Path) -> None:
    cuts = load(models.chain(), tmp_path).cuts
    first, second = 8 * 8 * 8 * 27, 5 * 8 * 8 * 72
    assert [cut.ue_macs for cut in cuts] == [0, first, first, first + second, first + second]
    assert cuts[1].edge_macs == second


@pytest.mark.parametrize(
    ("op", "weight", "attributes", "macs"),
    [
        ("MatMul", (6, 5), {}, 4 * 6 * 5),
        ("Gemm", (6, 5), {}, 4 * 6 * 5),
        ("Gemm", (4, 5), {"transA": 1}, 4 * 6 * 5),
    ],
)
def test_macs_of_a_product_of_matrices_are_m_n_k(
    op: str, weight: tuple[int, int], attributes: dict[str, int], macs: int, tmp_path: Path
) -> None:
    proto = models.model(
        [models.node(op, "x w", "y", **attributes)],
        {"x": [4, 6]},
        {"y": [None, 5]},
        {"w": models.whole(1, *weight)},
    )
    assert load(proto, tmp_path).cuts[1].ue_macs == macs


def test_macs_of_a_transposed_convolution_are_inputs_times_kernel(tmp_path: Path) -> None:
    proto = models.model(
        [models.node("ConvTranspose", "x w", "y", strides=[2, 2])],
        {"x": [1, 3, 8, 8]},
        {"y": [1, 5, 16, 16]},
        {"w": models.whole(1, 3, 5, 2, 2)},
    )
    assert load(proto, tmp_path).layers[0].macs == 3 * 8 * 8 * 5 * 4


def test_a_tensor_whose_shape_depends_on_the_data_cannot_cross(tmp_path: Path) -> None:
    graph = load(models.data_dependent(), tmp_path)
    assert [cut.crossable for cut in graph.cuts] == [True, True, False, False, True]
    with pytest.raises(UsageError, match=r"cannot cut at 2:2: the shape of 'places' depends"):
        extract(store(graph, tmp_path / "stored"), 2)


def test_an_output_whose_shape_depends_on_the_data_leaves_the_anchors(tmp_path: Path) -> None:
    proto = models.data_dependent()
    del proto.graph.node[3:]
    proto.graph.output[0].CopyFrom(onnx.helper.make_tensor_value_info("b", 1, [2, "found"]))
    graph = load(proto, tmp_path)
    stored = store(graph, tmp_path / "stored")
    assert graph.outputs[0].shape == (2, -1)
    tensors = models.sample(graph.inputs)
    expected = models.run_whole(proto, graph, tensors)
    for k in (0, 1, graph.n):
        np.testing.assert_array_equal(models.run_split(stored, k, tensors)["b"], expected["b"])


def test_a_model_whose_sizes_values_decide_is_not_run_to_learn_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trial, "opened", lambda *_: pytest.fail("the model was run"))
    proto = models.data_dependent()
    del proto.graph.node[3:]
    proto.graph.output[0].CopyFrom(onnx.helper.make_tensor_value_info("b", 1, [2, "found"]))
    cut = load(proto, tmp_path).cuts[2]
    assert cut.obstacle == "the shape of 'places' depends on the data (2x?)"


def test_a_shape_that_onnx_cannot_infer_is_learnt_by_running(tmp_path: Path) -> None:
    proto = models.model(
        [
            models.node("Relu", "x", "a"),
            onnx.helper.make_node("BiasGelu", ["a", "w"], ["b"], domain="com.microsoft"),
            models.node("Relu", "b", "y"),
        ],
        {"x": [4, 6]},
        {"y": [4, 6]},
        {"w": models.whole(1, 6)},
    )
    proto.opset_import.append(onnx.helper.make_opsetid("com.microsoft", 1))
    graph = load(proto, tmp_path)
    assert [tensor.shape for tensor in graph.cuts[2].tensors] == [(4, 6)]


def test_a_tensor_of_a_type_the_wire_does_not_know_cannot_cross(tmp_path: Path) -> None:
    proto = models.model(
        [
            models.node("Cast", "x", "a", to=onnx.TensorProto.BFLOAT16),
            models.node("Cast", "a", "y", to=onnx.TensorProto.FLOAT),
        ],
        {"x": [4]},
        {"y": [4]},
    )
    cut = load(proto, tmp_path).cuts[1]
    assert "'a' is a tensor of BFLOAT16, which the wire does not know" in cut.obstacle


def test_shapes_that_the_model_computes_from_its_input_are_static(tmp_path: Path) -> None:
    first = models.whole(0, 1).astype(np.int64) * 0
    proto = models.model(
        [
            models.node("Relu", "x", "a"),
            models.node("Shape", "x", "shape"),
            models.node("Gather", "shape first", "batch"),
            models.node("Concat", "batch rest", "target", axis=0),
            models.node("Reshape", "a target", "y"),
        ],
        {"x": ["N", 3, 4, 4]},
        {"y": ["N", "features"]},
        {"first": first, "rest": first - 1},
    )
    graph = load_graph(models.save(proto, tmp_path / "model.onnx"), {"x": (2, 3, 4, 4)})
    assert graph.outputs[0].shape == (2, 48)
    assert all(cut.crossable for cut in graph.cuts)


def test_all_cuts_of_a_thousand_layers_are_found_in_one_pass(tmp_path: Path) -> None:
    nodes = [models.node("Relu", f"t{i}", f"t{i + 1}") for i in range(1000)]
    graph = load(models.model(nodes, {"t0": [1, 4]}, {"t1000": [1, 4]}), tmp_path)
    assert crossing(graph) == [[f"t{k}"] for k in range(1001)]
