"""What crosses each cut of a TFLite model, what each side costs, and that both halves make it."""

from pathlib import Path

import numpy as np
import pytest

from splitbed.errors import UsageError
from splitbed.graphs.graph import Graph
from splitbed.graphs.parts import extract, extract_part, extract_span, store
from splitbed.graphs.splits import resolve
from splitbed.graphs.tflite.parts import load_graph
from tests.graphs import models, tflite_models
from tests.graphs.models import run_part, run_split, sample
from tests.graphs.tflite_models import MODELS, run_file, save, saved_graph

REFERENCES = Path(__file__).parents[3] / "shared" / "reference" / "models"
QUANTISED = [REFERENCES / "mobilenet_v1_0.25_128_quant.tflite"]
QUANTISED += [REFERENCES / "ssd_mobilenet_v1_coco_quant_300.tflite"]


def crossing(graph: Graph) -> list[list[str]]:
    return [[tensor.name for tensor in cut.tensors] for cut in graph.cuts]


def check_every_cut(path: Path, folder: Path) -> None:
    graph = load_graph(path)
    stored = store(graph, folder / "stored")
    tensors = sample(graph.inputs)
    expected = run_file(path, graph, tensors)
    for k in range(graph.n + 1):
        result = run_split(stored, k, tensors)
        assert list(result) == list(expected)
        for output, value in expected.items():
            assert result[output].dtype == value.dtype
            np.testing.assert_array_equal(result[output], value, f"{output} at cut {k}")


@pytest.mark.parametrize("name", MODELS)
def test_parts_give_the_bits_of_the_whole_at_every_cut(name: str, tmp_path: Path) -> None:
    check_every_cut(save(MODELS[name](), tmp_path / "model.tflite"), tmp_path)


@pytest.mark.parametrize("path", QUANTISED, ids=lambda path: path.name)
def test_parts_of_a_real_model_give_its_bits_at_every_cut(path: Path, tmp_path: Path) -> None:
    if not path.exists():
        pytest.skip(f"{path.name} is not on this machine")
    check_every_cut(path, tmp_path)


@pytest.mark.parametrize("name", MODELS)
def test_layers_run_one_by_one_give_the_bits_of_the_whole(name: str, tmp_path: Path) -> None:
    path = save(MODELS[name](), tmp_path / "model.tflite")
    graph = load_graph(path)
    stored = store(graph, tmp_path / "stored")
    tensors = sample(graph.inputs)
    expected = run_file(path, graph, tensors)
    for k in range(graph.n):
        part = extract_span(stored, k, k + 1)
        tensors |= run_part(part, {info.name: tensors[info.name] for info in part.inputs})
    for output in {name for layer in graph.layers for name in layer.outputs} & expected.keys():
        np.testing.assert_array_equal(tensors[output], expected[output])


def test_a_head_makes_its_own_outputs_alone_at_every_cut(tmp_path: Path) -> None:
    stored = store(
        saved_graph(MODELS["several inputs and outputs"](), tmp_path), tmp_path / "stored"
    )
    n, tensors = stored.graph.n, sample(stored.graph.inputs)
    whole = run_part(extract_part(stored, 0, n), tensors)
    for k in range(n + 1):
        features = run_part(extract_part(stored, 0, k), tensors)
        for head in ((0,), (1, 2), (2,)):
            part = extract_part(stored, k, n, head)
            names = [stored.graph.outputs[place].name for place in head]
            result = run_part(part, features)
            assert list(result) == names
            for name in names:
                np.testing.assert_array_equal(result[name], whole[name], f"{name} at cut {k}")


def test_a_chain_crosses_one_tensor_at_each_cut(tmp_path: Path) -> None:
    assert crossing(saved_graph(MODELS["chain"](), tmp_path)) == [["x"], ["a"], ["b"], ["c"], ["y"]]


def test_a_residual_branch_crosses_beside_the_main_one(tmp_path: Path) -> None:
    graph = saved_graph(MODELS["residual"](), tmp_path)
    assert crossing(graph) == [["x"], ["a"], ["a", "b"], ["y"]]


def test_late_inputs_and_early_outputs_cross_until_the_end(tmp_path: Path) -> None:
    graph = saved_graph(MODELS["several inputs and outputs"](), tmp_path)
    assert crossing(graph) == [
        ["x", "late"],
        ["late", "early"],
        ["late", "early", "b"],
        ["late", "early", "y"],
    ]


def test_an_operator_that_no_output_depends_on_is_no_layer(tmp_path: Path) -> None:
    graph = saved_graph(MODELS["residual"](), tmp_path)
    assert [layer.op for layer in graph.layers] == ["CONV_2D", "CONV_2D", "ADD"]


def test_operators_on_constants_are_weights(tmp_path: Path) -> None:
    graph = saved_graph(MODELS["float16 weights"](), tmp_path)
    assert [layer.op for layer in graph.layers] == ["CONV_2D", "RELU", "CONV_2D"]


def test_bytes_of_a_cut_are_those_of_its_quantised_tensors(tmp_path: Path) -> None:
    graph = saved_graph(MODELS["int8 with a scale per channel"](), tmp_path)
    assert [cut.nbytes for cut in graph.cuts] == [768, 192, 512, 1024, 512, 2048]


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("chain", [0, 216 + 8, 296 + 8, 296 + 8, 341 + 8]),
        ("uint8", [0, 216 + 8, 3288 + 14, 3288 + 14]),  # integers that have a scale
        ("float16 weights", [0, 576 + 8, 576 + 8, 576 + 8]),
    ],
)
def test_parameters_are_counted_on_the_side_that_uses_them(
    name: str, params: list[int], tmp_path: Path
) -> None:
    graph = saved_graph(MODELS[name](), tmp_path)
    assert [cut.ue_params for cut in graph.cuts] == params


@pytest.mark.parametrize(
    ("name", "layer", "macs"),
    [
        ("chain", 0, 8 * 8 * 8 * 27),  # CONV_2D
        ("chain", 1, 8 * 8 * 8 * 9),  # DEPTHWISE_CONV_2D
        ("chain", 2, 0),  # RELU6
        ("uint8", 1, 512 * 6),  # FULLY_CONNECTED
        ("transposed", 0, 4 * 4 * 3 * 5 * 4),  # TRANSPOSE_CONV
        ("transposed", 2, 5 * 64 * 5),  # BATCH_MATMUL
    ],
)
def test_macs_follow_the_kernel(name: str, layer: int, macs: int, tmp_path: Path) -> None:
    assert saved_graph(MODELS[name](), tmp_path).layers[layer].macs == macs


def test_a_layer_is_named_by_the_scope_of_its_weights_or_its_output(tmp_path: Path) -> None:
    graph = saved_graph(MODELS["chain"](), tmp_path)
    assert [layer.name for layer in graph.layers] == ["Conv2d_0", "Conv2d_1", "c", "y"]


def test_of_names_that_a_converter_joined_a_layer_has_the_first(tmp_path: Path) -> None:
    proto = MODELS["chain"]()
    relu = next(t for t in proto.subgraphs[0].tensors if t.name == b"c")
    relu.name = b"block/Relu6;block/BiasAdd;block/Conv2D"
    assert saved_graph(proto, tmp_path).layers[2].name == "block/Relu6"


def test_names_of_layers_are_unique(tmp_path: Path) -> None:
    proto = MODELS["chain"]()
    for tensor in proto.subgraphs[0].tensors:
        if tensor.name in (b"a", b"b", b"c", b"Conv2d_1/depthwise_weights", b"w"):
            tensor.name = b"Conv2d_0/weights;" + tensor.name
    names = [layer.name for layer in saved_graph(proto, tmp_path).layers]
    assert len(set(names)) == 4


def test_duplicate_and_empty_names_of_tensors_are_made_unique(tmp_path: Path) -> None:
    graph = saved_graph(MODELS["duplicate names"](), tmp_path)
    assert crossing(graph) == [["x"], ["tensor_2"], ["tensor_2", "x_3"], ["y"]]


def test_a_cut_is_found_by_the_name_of_its_layer(tmp_path: Path) -> None:
    graph = saved_graph(MODELS["chain"](), tmp_path)
    assert [split.k for split in resolve(graph, "Conv2d_1:before,c:after")] == [1, 3]


def test_shapes_that_the_file_lacks_are_found(tmp_path: Path) -> None:
    graph = saved_graph(MODELS["detection"](), tmp_path)
    assert [output.shape for output in graph.outputs] == [(1, 3, 4), (1, 3), (1, 3), (1,)]


def test_a_tensor_whose_shape_depends_on_the_data_cannot_cross(tmp_path: Path) -> None:
    graph = saved_graph(tflite_models.data_dependent(), tmp_path)
    assert [cut.crossable for cut in graph.cuts] == [True, True, False, False, True]
    with pytest.raises(UsageError, match=r"cannot cut at 2:2: the shape of 'places' depends"):
        extract(store(graph, tmp_path / "stored"), 2)


def test_a_model_with_shapes_that_depend_on_the_data_is_cut_elsewhere(tmp_path: Path) -> None:
    path = save(tflite_models.data_dependent(), tmp_path / "model.tflite")
    graph = load_graph(path)
    stored = store(graph, tmp_path / "stored")
    tensors = sample(graph.inputs)
    expected = run_file(path, graph, tensors)
    for k in (0, 1, 4):
        np.testing.assert_array_equal(run_split(stored, k, tensors)["y"], expected["y"])


def test_an_output_whose_shape_depends_on_the_data_leaves_the_anchors(tmp_path: Path) -> None:
    proto = tflite_models.data_dependent()
    proto.subgraphs[0].outputs = [4]
    path = save(proto, tmp_path / "model.tflite")
    graph = load_graph(path)
    assert graph.outputs[0].shape == (-1, -1)
    stored = store(graph, tmp_path / "stored")
    tensors = models.sample(graph.inputs)
    expected = run_file(path, graph, tensors)
    for k in (0, 1, graph.n):
        np.testing.assert_array_equal(run_split(stored, k, tensors)["b"], expected["b"])


def test_an_open_input_takes_the_shape_that_is_asked(tmp_path: Path) -> None:
    path = save(tflite_models.computed_shape(), tmp_path / "model.tflite")
    graph = load_graph(path, {"x": (2, 5, 4, 3)})
    assert (graph.inputs[0].shape, graph.outputs[0].shape) == ((2, 5, 4, 3), (2, 60))


def test_shapes_that_the_model_computes_from_its_input_are_static(tmp_path: Path) -> None:
    path = save(tflite_models.computed_shape(), tmp_path / "model.tflite")
    graph = load_graph(path, {"x": (2, 5, 4, 3)})
    assert all(cut.crossable for cut in graph.cuts)


def test_an_open_batch_is_one(tmp_path: Path) -> None:
    proto = MODELS["chain"]()
    proto.subgraphs[0].tensors[0].shapeSignature = [-1, 8, 8, 3]
    assert saved_graph(proto, tmp_path).inputs[0].shape == (1, 8, 8, 3)
