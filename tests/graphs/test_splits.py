"""What each ``--split`` means, and what each refusal offers."""

from pathlib import Path

import pytest

from splitbed.errors import UsageError
from splitbed.graphs.graph import Graph
from splitbed.graphs.onnx.graph import load_graph
from splitbed.graphs.splits import resolve
from tests.graphs import models

NAMED = {
    "anchor": "/a/Conv:before",
    "split_node_3": "/c/Conv:before",
    "the_end_of_c": "/c/Conv:after",
    "again": "/d/Add:before",
}


@pytest.fixture
def graph(tmp_path: Path) -> Graph:
    return load_graph(models.save(models.residual(), tmp_path / "model.onnx"))


def resolved(graph: Graph, text: str, named: dict[str, str] | None = None) -> list[tuple[str, int]]:
    return [(split.label, split.k) for split in resolve(graph, text, named)]


def test_all_is_every_cut_but_the_anchors(graph: Graph) -> None:
    assert resolved(graph, "all") == [("1:4", 1), ("2:3", 2), ("3:2", 3), ("4:1", 4)]


def test_single_is_every_cut_that_crosses_one_tensor(graph: Graph) -> None:
    assert resolved(graph, "single") == [("1:4", 1), ("4:1", 4)]


def test_named_is_the_named_splits_once_each_without_anchors(graph: Graph) -> None:
    assert resolved(graph, "named", NAMED) == [("split_node_3", 2), ("the_end_of_c", 3)]


def test_a_named_split_wins_over_the_generic_meaning_of_its_label(graph: Graph) -> None:
    assert resolved(graph, "split_node_3", NAMED) == [("split_node_3", 2)]


def test_without_names_split_node_n_is_the_cut_before_node_n(graph: Graph) -> None:
    assert resolved(graph, "split_node_3") == [("split_node_3", 3)]


def test_a_list_mixes_labels_and_keeps_its_order(graph: Graph) -> None:
    text = "4:1, /b/Relu:after,split_node_1,the_end_of_c"
    assert resolved(graph, text, NAMED) == [
        ("4:1", 4),
        ("/b/Relu:after", 2),
        ("split_node_1", 1),
        ("the_end_of_c", 3),
    ]


def test_a_list_may_name_the_anchors(graph: Graph) -> None:
    assert resolved(graph, "0:5,5:0") == [("0:5", 0), ("5:0", 5)]


def test_a_cut_meant_twice_keeps_its_first_label(graph: Graph) -> None:
    assert resolved(graph, "/b/Relu:before,1:4,/a/Conv:after") == [("/b/Relu:before", 1)]


def test_without_names_named_is_the_cuts_that_shrink_the_data(tmp_path: Path) -> None:
    widths = [64, 32, 48, 16, 16, 8]
    nodes = [models.node("MatMul", f"t{i} w{i}", f"t{i + 1}") for i in range(5)]
    weights = {f"w{i}": models.whole(i, widths[i], widths[i + 1]) for i in range(5)}
    nodes.append(models.node("Relu", "t5", "y"))
    proto = models.model(nodes, {"t0": [1, 64]}, {"y": [1, 8]}, weights)
    graph = load_graph(models.save(proto, tmp_path / "model.onnx"))
    assert resolved(graph, "named") == [("1:5", 1), ("3:3", 3), ("5:1", 5)]


def test_without_names_named_is_at_most_twelve_cuts(tmp_path: Path) -> None:
    nodes = [models.node("MatMul", f"t{i} w{i}", f"t{i + 1}" if i < 29 else "y") for i in range(30)]
    weights = {f"w{i}": models.whole(i, 40 - i, 39 - i) for i in range(30)}
    proto = models.model(nodes, {"t0": [1, 40]}, {"y": [1, 10]}, weights)
    graph = load_graph(models.save(proto, tmp_path / "model.onnx"))
    assert len(resolve(graph, "named")) == 12


def test_cuts_that_cannot_be_crossed_are_left_out_of_all(tmp_path: Path) -> None:
    graph = load_graph(models.save(models.data_dependent(), tmp_path / "model.onnx"))
    assert resolved(graph, "all") == [("1:3", 1)]


def test_a_listed_cut_that_cannot_be_crossed_is_refused_with_the_reason(tmp_path: Path) -> None:
    graph = load_graph(models.save(models.data_dependent(), tmp_path / "model.onnx"))
    with pytest.raises(UsageError, match="cannot cut at 2:2: the shape of 'places' depends"):
        resolve(graph, "2:2")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("2:4", r"adds up to 6, but this model has 5 layers: .* say 2:3"),
        ("9:1", r"adds up to 10, .* the last label is 5:0"),
        ("split_node_5", r"nodes 0 to 4"),
        ("/b/Rleu:after", r"no node is named '/b/Rleu' .* /b/Relu"),
        ("nowhere:before", r"no node is named 'nowhere' .* /a/Conv, /b/Relu, …, /y/Relu"),
        ("split_nod_3", r"unknown; did you mean split_node_3.* 4 labels \(anchor, "),
        ("anchor+split_node_3", "two cuts, joined by [+], are for --flow chain"),
        ("", "means no cut"),
        (" , ", "means no cut"),
    ],
)
def test_a_label_that_means_no_cut_is_refused_with_choices(
    text: str, message: str, graph: Graph
) -> None:
    with pytest.raises(UsageError, match=message):
        resolve(graph, text, NAMED)
