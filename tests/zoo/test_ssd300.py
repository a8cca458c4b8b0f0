"""SSD300 is the network of clause 10.3.9.2: names, order, sizes, parameters."""

import csv
import hashlib
import math
import subprocess
import sys
from pathlib import Path

import onnx
import pytest

from orchestrator.ask.sweep.config import sweep_config
from orchestrator.testbed.model import load_model
from orchestrator.testbed.nodes.pair import Pair
from orchestrator.testbed.scratch import scratch
from splitbed.errors import UsageError
from splitbed.tensors import Tensors
from splitbed.workers.fork_server import ending_fork_server
from splitbed.zoo import ZOO, anchor_model, ssd300
from tests.node.loopback import Splits, loopback_nodes

TABLE = Path(__file__).parents[3] / "shared/reference/tables/clause_10.3.9.2_ssd300.csv"
SEED_0 = "8a48c7e1f51a4c3b5e3a3495c1f3b3622697b9bf0288f769f89321a75e75d455"
SHAPES = {
    1: (64, 150, 150),
    3: (64, 75, 75),
    **dict.fromkeys((10, 17, 24, 25), (256, 75, 75)),
    **dict.fromkeys((39, 46, 54), (512, 38, 38)),
    **dict.fromkeys((62, 68, 69, 75, 76, 82), (1024, 38, 38)),
}


def rows() -> list[dict[str, str]]:
    if not TABLE.is_file():
        pytest.skip(f"the clause's table is not at {TABLE}")
    with TABLE.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def graph(model: onnx.ModelProto) -> onnx.GraphProto:
    """The graph with every tensor's shape."""
    return onnx.shape_inference.infer_shapes(model).graph


def shapes_crossing(graph: onnx.GraphProto, index: int) -> list[tuple[int, ...]]:
    """Shapes of what nodes from ``index`` on need of what is there before them."""
    before = {"image", *(name for node in graph.node[:index] for name in node.output)}
    needed = {name for node in graph.node[index:] for name in node.input}
    return [
        tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim)
        for value in (*graph.input, *graph.value_info)
        if value.name in before & needed
    ]


@pytest.fixture(scope="module")
def names(model: onnx.ModelProto) -> list[str]:
    return [node.name for node in model.graph.node]


def test_the_graph_is_valid_onnx(model: onnx.ModelProto) -> None:
    onnx.checker.check_model(model, full_check=True)


def test_nodes_are_in_topological_order(model: onnx.ModelProto) -> None:
    known = {"image", *(value.name for value in model.graph.initializer)}
    for node in model.graph.node:
        assert known.issuperset(node.input), node.name
        known.update(node.output)


def test_every_node_has_a_name_of_its_own(names: list[str]) -> None:
    assert len(set(names)) == len(names)


def test_fifteen_split_points_are_named() -> None:
    assert {int(label.removeprefix("split_node_")) for label in ZOO["ssd300"].named_splits} == set(
        SHAPES
    )


@pytest.mark.parametrize(("label", "place"), ZOO["ssd300"].named_splits.items())
def test_a_split_label_is_the_index_of_its_node(names: list[str], label: str, place: str) -> None:
    node, side = place.split(":")
    assert side == "before"
    assert names[int(label.removeprefix("split_node_"))] == node


@pytest.mark.parametrize(("index", "shape"), SHAPES.items())
def test_one_tensor_of_the_published_shape_crosses_each_named_split(
    graph: onnx.GraphProto, index: int, shape: tuple[int, ...]
) -> None:
    assert shapes_crossing(graph, index) == [(1, *shape)]


def test_split_labels_and_nodes_are_those_of_the_clause() -> None:
    published = {row["split_label"]: f"{row['node_name']}:before" for row in rows()}
    named = {label: place for label, place in published.items() if label.startswith("split")}
    assert ZOO["ssd300"].named_splits == named


def test_intermediate_sizes_are_those_of_the_clause(graph: onnx.GraphProto) -> None:
    for row in rows():
        if row["split_label"] == "anchor_device":
            continue
        index = int(row["split_label"].removeprefix("split_node_").replace("anchor_network", "0"))
        (shape,) = shapes_crossing(graph, index)
        assert round(4 * math.prod(shape) / 1e6, 2) == float(row["intermediate_data_MB"]), index


def test_a_cut_after_a_blocks_first_convolution_carries_the_short_cut_too(
    graph: onnx.GraphProto,
) -> None:
    assert sorted(shapes_crossing(graph, 26)) == [(1, 128, 75, 75), (1, 256, 75, 75)]


def test_training_learns_22_894_902_parameters() -> None:
    layers = (*ssd300.trunk(), *ssd300.heads())
    assert ssd300.parameters(layers) == ZOO["ssd300"].parameters == 22_894_902


def test_folding_batch_norm_leaves_22_876_918_of_them(model: onnx.ModelProto) -> None:
    weights = [value for value in model.graph.initializer if value.data_type == 1]
    assert sum(math.prod(value.dims) for value in weights) == 22_876_918


def test_outputs_are_offsets_and_scores_of_8732_boxes(seen: Tensors) -> None:
    assert seen["locs"].shape == (1, 4, 8732)
    assert seen["confs"].shape == (1, 81, 8732)


def test_the_outputs_list_boxes_as_the_default_boxes_do(model: onnx.ModelProto) -> None:
    """Each head's channels are value-major, so a plain reshape puts the 38x38 map's boxes first."""
    concat = next(node for node in model.graph.node if node.output[0] == "locs")
    assert [name.partition("_output")[0] for name in concat.input] == [
        "/Reshape", *(f"/Reshape_{number}" for number in (2, 4, 6, 8, 10))
    ]  # fmt: skip


def test_the_model_says_that_its_weights_are_seeded(model: onnx.ModelProto) -> None:
    assert {p.key: p.value for p in model.metadata_props} == {"weights": "seeded (seed 0)"}


def test_a_seed_gives_the_same_weights_on_every_machine(model: onnx.ModelProto) -> None:
    digest = hashlib.sha256()
    for value in model.graph.initializer:
        digest.update(value.raw_data)
    assert digest.hexdigest() == SEED_0


def test_cut_its_boxes_come_back_from_the_other_node(
    model: onnx.ModelProto, tmp_path: Path
) -> None:
    onnx.save(model, file := tmp_path / "ssd300.onnx")
    asked = {"model": str(file), "task": "ssd"}
    (stored := tmp_path / "stored").mkdir()
    with scratch() as space, ending_fork_server():
        swept = load_model(sweep_config(asked), stored)
        with Pair(loopback_nodes(space), swept) as pair:
            (splits := Splits(pair, swept)).load(3)
            frame = splits.run()
    assert frame.intermediate_bytes == 1_440_000
    assert frame.max_abs_diff <= 1e-3  # from what the whole model gives
    assert frame.results["boxes"] > 0


def test_an_unknown_model_is_refused_with_the_choices() -> None:
    with pytest.raises(UsageError, match=r"'ssd301'.*ssd300"):
        anchor_model("ssd301")


def test_listing_the_models_imports_neither_onnx_nor_numpy() -> None:
    code = "import sys, splitbed.zoo; print({'onnx', 'numpy', 'PIL'} & set(sys.modules))"
    listed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert listed.stdout.strip() == "set()"
