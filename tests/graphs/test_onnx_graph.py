"""Which files are read, and what each refusal says."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, version_converter

from splitbed.errors import UsageError
from splitbed.graphs.onnx import graph as onnx_graph
from splitbed.graphs.onnx.graph import load_graph
from splitbed.graphs.parts import store
from tests.graphs import models


def save(proto: onnx.ModelProto, tmp_path: Path) -> Path:
    return models.save(proto, tmp_path / "model.onnx")


def save_external(tmp_path: Path) -> tuple[onnx.ModelProto, Path]:
    """The chain with its weights in a file of their own, in a folder beside the model."""
    proto = models.chain()
    path = tmp_path / "model.onnx"
    (tmp_path / "data").mkdir()
    onnx.save(proto, path, save_as_external_data=True, location="data/chain.bin", size_threshold=0)
    return models.chain(), path


def relocate(path: Path, **entries: str) -> None:
    proto = onnx.load(path, load_external_data=False)
    for entry in proto.graph.initializer[0].external_data:
        entry.value = entries.get(entry.key, entry.value)
    path.write_bytes(proto.SerializeToString())


@pytest.mark.parametrize("content", [b"", b"not a model", bytes(range(256)) * 40, b"\x08\x08"])
def test_a_file_that_is_not_onnx_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(UsageError, match="not an ONNX file"):
        load_graph(path)


def test_a_truncated_file_is_refused_wherever_it_ends(tmp_path: Path) -> None:
    path = save(models.residual(), tmp_path)
    content = path.read_bytes()
    for size in range(0, len(content) - 1, 61):
        path.write_bytes(content[:size])
        with pytest.raises(UsageError):
            load_graph(path)


def test_a_name_that_is_not_text_is_refused(tmp_path: Path) -> None:
    path = save(models.chain(), tmp_path)
    path.write_bytes(path.read_bytes().replace(b"/c/Conv", b"/c/\xffonv"))
    with pytest.raises(UsageError, match="a name in it is not text"):
        load_graph(path)


def test_a_graph_without_a_name_is_read(tmp_path: Path) -> None:
    proto = models.chain()
    proto.graph.ClearField("name")
    assert load_graph(save(proto, tmp_path)).n == 4


def test_a_graph_of_very_many_entries_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save(models.chain(), tmp_path)
    graph = onnx.load(path).graph
    most = max(len(graph.node), len(graph.initializer))
    monkeypatch.setattr(onnx_graph, "MOST_ENTRIES", most)
    load_graph(path)
    monkeypatch.setattr(onnx_graph, "MOST_ENTRIES", most - 1)
    with pytest.raises(UsageError, match=f"has a list of {most} entries"):
        load_graph(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        load_graph(tmp_path / "model.onnx")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Is a directory"):
        load_graph(tmp_path)


def test_an_unknown_operator_is_refused_by_name(tmp_path: Path) -> None:
    proto = models.chain()
    proto.graph.node[1].op_type = "Rleu"
    with pytest.raises(UsageError, match="Rleu"):
        load_graph(save(proto, tmp_path))


def test_a_weight_of_the_wrong_size_is_refused_by_name(tmp_path: Path) -> None:
    proto = models.chain()
    proto.graph.initializer[0].dims[0] = 9
    with pytest.raises(UsageError, match=r"'w1' is not valid: .* needs 972 bytes, .* holds 864"):
        load_graph(save(proto, tmp_path))


def test_an_opset_before_11_is_converted_and_told(tmp_path: Path) -> None:
    graph = load_graph(save(models.chain(opset=10), tmp_path))
    assert graph.conversion == "of opset 10, converted to 11"


def test_an_opset_that_cannot_be_converted_is_refused(tmp_path: Path) -> None:
    proto = models.chain(opset=10)
    proto.graph.node[1].op_type = "Rleu"
    with pytest.raises(UsageError, match=r"opset 10; 11 is .* cannot convert it: .*Rleu"):
        load_graph(save(proto, tmp_path))


def test_a_conversion_that_changes_the_results_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    converted = models.chain(opset=11)
    converted.graph.node[1].op_type = "Neg"
    monkeypatch.setattr(version_converter, "convert_version", lambda *_: converted)
    with pytest.raises(UsageError, match="converted to 11, it gives results that differ by"):
        load_graph(save(models.chain(opset=10), tmp_path))


def test_control_flow_is_refused_by_node(tmp_path: Path) -> None:
    branch = helper.make_graph(
        [models.node("Relu", "x", "out")],
        "branch",
        [],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, [1])],
    )
    choose = helper.make_node(
        "If", ["flag"], ["y"], "/choose/If", then_branch=branch, else_branch=branch
    )
    proto = models.model([choose], {"x": [1]}, {"y": [1]}, {"flag": np.array(True)})
    with pytest.raises(UsageError, match=r"'/choose/If' is control flow \(If\)"):
        load_graph(save(proto, tmp_path))


def test_a_node_that_reads_what_nothing_produces_is_refused(tmp_path: Path) -> None:
    proto = models.chain()
    proto.graph.node[2].input[0] = "nowhere"
    with pytest.raises(UsageError, match=r"'/c/Conv' \(Conv\) reads \['nowhere'\]"):
        load_graph(save(proto, tmp_path))


def test_an_output_that_nothing_produces_is_refused(tmp_path: Path) -> None:
    proto = models.chain()
    proto.graph.output[0].name = "nowhere"
    with pytest.raises(UsageError, match="'nowhere'"):
        load_graph(save(proto, tmp_path))


def test_nodes_out_of_order_are_sorted(tmp_path: Path) -> None:
    proto = models.chain()
    backwards = list(proto.graph.node)[::-1]
    del proto.graph.node[:]
    proto.graph.node.extend(backwards)
    graph = load_graph(save(proto, tmp_path))
    assert [layer.name for layer in graph.layers] == ["/a/Conv", "/b/Relu", "/c/Conv", "/y/Relu"]


def test_unnamed_and_equally_named_nodes_get_names_of_their_own(tmp_path: Path) -> None:
    proto = models.chain()
    for index, name in enumerate(["", "same", "same", ""]):
        proto.graph.node[index].name = name
    graph = load_graph(save(proto, tmp_path))
    assert [layer.name for layer in graph.layers] == ["Conv_0", "same", "same_", "Relu_3"]


def test_nodes_that_no_output_depends_on_are_dropped(tmp_path: Path) -> None:
    proto = models.chain()
    proto.graph.node.insert(1, models.node("Sigmoid", "a", "unused"))
    assert [layer.op for layer in load_graph(save(proto, tmp_path)).layers] == [
        "Conv",
        "Relu",
        "Conv",
        "Relu",
    ]


def test_constants_are_weights_not_layers(tmp_path: Path) -> None:
    graph = load_graph(save(models.constants(), tmp_path))
    assert [layer.op for layer in graph.layers] == [
        "Conv",
        "Reshape",
        "Mul",
        "Clip",
        "MatMul",
        "Identity",
    ]


def test_weights_listed_among_the_inputs_are_not_inputs(tmp_path: Path) -> None:
    proto = models.chain()
    proto.ir_version = 3
    for tensor in proto.graph.initializer:
        info = helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
        proto.graph.input.append(info)
    assert [t.name for t in load_graph(save(proto, tmp_path)).inputs] == ["x"]


def test_a_dynamic_input_is_refused_with_the_option_that_fixes_it(tmp_path: Path) -> None:
    path = save(models.chain(batch="N", side="side"), tmp_path)
    with pytest.raises(UsageError, match=r"'x' is dynamic: Nx3xsidexside.*--shape x=1x3x224x224"):
        load_graph(path)


@pytest.mark.parametrize(("batch", "says"), [(1 << 30, "a frame has 1073741824 at most"), (1, "")])
def test_an_input_that_no_frame_could_have_is_refused_by_name(
    tmp_path: Path, batch: int, says: str
) -> None:
    path = save(models.chain(batch="N", side="side"), tmp_path)
    if says:
        with pytest.raises(UsageError, match=rf"as x \[{batch}, 3, 6, 10\]: {says}"):
            load_graph(path, {"x": (batch, 3, 6, 10)})
    else:
        assert load_graph(path, {"x": (batch, 3, 6, 10)}).inputs[0].shape[0] == batch


def test_a_dynamic_input_takes_the_shape_asked_for(tmp_path: Path) -> None:
    path = save(models.chain(batch="N", side="side"), tmp_path)
    graph = load_graph(path, {"x": (2, 3, 6, 10)})
    assert [cut.tensors[0].shape for cut in graph.cuts] == [
        (2, 3, 6, 10),
        (2, 8, 6, 10),
        (2, 8, 6, 10),
        (2, 5, 6, 10),
        (2, 5, 6, 10),
    ]


def test_a_model_with_dynamic_sizes_gives_the_bits_of_the_whole(tmp_path: Path) -> None:
    proto = models.chain(batch="N", side="side")
    graph = load_graph(save(proto, tmp_path), {"x": (2, 3, 6, 10)})
    stored = store(graph, tmp_path / "stored")
    tensors = models.sample(graph.inputs)
    expected = models.run_whole(proto, graph, tensors)["y"]
    for k in range(graph.n + 1):
        np.testing.assert_array_equal(models.run_split(stored, k, tensors)["y"], expected)


@pytest.mark.parametrize("shape", [(1, 4, 8, 8), (1, 3, 8), (-1, 3, 8, 8), ()])
def test_a_shape_that_contradicts_the_model_is_refused(
    shape: tuple[int, ...], tmp_path: Path
) -> None:
    path = save(models.chain(batch="N", side="side"), tmp_path)
    with pytest.raises(UsageError, match="the model needs Nx3xsidexside"):
        load_graph(path, {"x": shape})


def test_an_input_of_strings_is_refused(tmp_path: Path) -> None:
    proto = models.chain()
    proto.graph.input[0].type.tensor_type.elem_type = TensorProto.STRING
    with pytest.raises(UsageError, match="'x' cannot be fed: it is a tensor of strings"):
        load_graph(save(proto, tmp_path))


def test_a_shape_for_an_unknown_input_is_refused_with_the_inputs(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"'image'; the model's inputs are x"):
        load_graph(save(models.chain(), tmp_path), {"image": (1, 3, 8, 8)})


def test_external_weights_give_the_bits_of_the_whole(tmp_path: Path) -> None:
    proto, path = save_external(tmp_path)
    graph = load_graph(path)
    stored = store(graph, tmp_path / "stored")
    tensors = models.sample(graph.inputs)
    expected = models.run_whole(proto, graph, tensors)["y"]
    for k in range(graph.n + 1):
        np.testing.assert_array_equal(models.run_split(stored, k, tensors)["y"], expected)


def test_external_weights_that_are_missing_are_refused(tmp_path: Path) -> None:
    _, path = save_external(tmp_path)
    (tmp_path / "data" / "chain.bin").unlink()
    with pytest.raises(UsageError, match=r"chain\.bin, which is missing"):
        load_graph(path)


def test_external_weights_that_are_truncated_are_refused(tmp_path: Path) -> None:
    _, path = save_external(tmp_path)
    (tmp_path / "data" / "chain.bin").write_bytes(b"short")
    with pytest.raises(UsageError, match="is the file whole"):
        load_graph(path)


@pytest.mark.parametrize("location", ["../outside.bin", "data/../../outside.bin", "link.bin", ""])
def test_external_weights_outside_the_folder_are_refused(location: str, tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    _, path = save_external(inside)
    outside = tmp_path / "outside.bin"
    outside.write_bytes((inside / "data" / "chain.bin").read_bytes())
    (inside / "link.bin").symlink_to(outside)
    relocate(path, location=location)
    with pytest.raises(UsageError, match="outside the model's folder"):
        load_graph(path)


def test_an_absolute_path_of_external_weights_is_refused(tmp_path: Path) -> None:
    _, path = save_external(tmp_path)
    relocate(path, location="/etc/hostname")
    with pytest.raises(UsageError, match="outside the model's folder"):
        load_graph(path)


def test_a_damaged_reference_to_external_weights_is_refused(tmp_path: Path) -> None:
    _, path = save_external(tmp_path)
    relocate(path, length="many")
    with pytest.raises(UsageError, match="damaged reference"):
        load_graph(path)


def calling(called: str, overload: str, *, in_branch: bool) -> list[onnx.NodeProto]:
    """Nodes that call a function twice, or an operator."""
    ends = (("i", "b"), ("b", "o"))
    domain = "" if called == "Relu" else "local"
    calls = [
        helper.make_node(called, [one], [two], domain=domain, overload=overload)
        for one, two in ends
    ]
    if not in_branch:
        return calls
    output = helper.make_tensor_value_info("o", onnx.TensorProto.FLOAT, None)
    branch = helper.make_graph(calls, "branch", [], [output])
    return [helper.make_node("If", ["i"], ["o"], then_branch=branch, else_branch=branch)]


@pytest.mark.parametrize("called_by", ["name", "overload", "branch"])
@pytest.mark.parametrize(("last", "words"), [("Relu", r"e\+\d\d nodes"), ("call", "inf nodes")])
def test_functions_that_call_one_another_for_ever_are_refused(
    called_by: str, last: str, words: str, tmp_path: Path
) -> None:
    """Each calls the next one twice; the last is an operator, or calls the first again."""
    proto = models.local_function()
    del proto.functions[:]
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("local", 1)]

    def named(place: int) -> tuple[str, str]:
        return ("call", f"{place}") if called_by == "overload" else (f"call{place}", "")

    for place in range(41):
        name, overload = named((place + 1) % 41)
        called = (last, "") if (place, last) == (40, "Relu") else (name, overload)
        body = calling(*called, in_branch=called_by == "branch")
        own, overload = named(place)
        made = helper.make_function("local", own, ["i"], ["o"], body, opsets, overload=overload)
        proto.functions.append(made)
    proto.graph.node[1].op_type, proto.graph.node[1].overload = named(0)
    (path := tmp_path / "calls.onnx").write_bytes(proto.SerializeToString())
    with pytest.raises(UsageError, match=words):
        load_graph(path)
