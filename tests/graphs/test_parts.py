"""What is stored, what a part holds, and what is refused when it comes from the network."""

import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest

from splitbed.errors import UsageError
from splitbed.graphs.onnx.graph import load_graph
from splitbed.graphs.parts import (
    Part,
    StoredModel,
    extract,
    extract_part,
    open_stored,
    store,
    write_portable,
)
from tests.graphs import models


@pytest.fixture
def stored(tmp_path: Path) -> StoredModel:
    graph = load_graph(models.save(models.inception(), tmp_path / "model.onnx"))
    return store(graph, tmp_path / "stored")


def change_reference(stored: StoredModel, **entries: str) -> None:
    path = stored.folder / "graph.onnx"
    proto = onnx.load(path, load_external_data=False)
    tensor = next(t for t in proto.graph.initializer if t.external_data)
    for entry in tensor.external_data:
        entry.value = entries.get(entry.key, entry.value)
    path.write_bytes(proto.SerializeToString())


def every_part(name: str, tmp_path: Path) -> list[Part]:
    graph = load_graph(models.save(models.MODELS[name](), tmp_path / "model.onnx"))
    stored = store(graph, tmp_path / "stored")
    return [part for k in range(graph.n + 1) for part in extract(stored, k)]


@pytest.mark.parametrize("name", models.MODELS)
def test_every_part_is_a_valid_model_file(name: str, tmp_path: Path) -> None:
    for part in every_part(name, tmp_path):
        if part.path:
            onnx.checker.check_model(str(part.path), full_check=True)


@pytest.mark.parametrize("name", models.MODELS)
def test_a_portable_part_has_the_size_stated(name: str, tmp_path: Path) -> None:
    for part in every_part(name, tmp_path):
        if part.path:
            write_portable(part, tmp_path / "portable.onnx")
            assert (tmp_path / "portable.onnx").stat().st_size == part.nbytes


def test_a_portable_part_runs_without_the_stored_weights(
    stored: StoredModel, tmp_path: Path
) -> None:
    part = extract(stored, 2)[0]
    tensors = models.sample(part.inputs)
    expected = models.run_part(part, tensors)
    portable = tmp_path / "elsewhere" / "part.onnx"
    portable.parent.mkdir()
    write_portable(part, portable)
    shutil.rmtree(stored.folder)
    result = models.run_part(Part(portable, part.inputs, part.outputs, (), 0), tensors)
    for name, value in expected.items():
        np.testing.assert_array_equal(result[name], value)


def test_a_half_without_layers_cannot_be_written(stored: StoredModel, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no layers"):
        write_portable(extract(stored, 0)[0], tmp_path / "portable.onnx")


def test_the_anchors_have_one_half_without_a_file(stored: StoredModel) -> None:
    network, device = extract(stored, 0), extract(stored, stored.graph.n)
    assert [part.path is None for part in (*network, *device)] == [True, False, False, True]
    assert (network[0].nbytes, device[1].nbytes) == (0, 0)


def test_outputs_of_part_1_are_inputs_of_part_2(stored: StoredModel) -> None:
    for cut in stored.graph.cuts:
        part1, part2 = extract(stored, cut.k)
        assert part1.outputs == part2.inputs == cut.tensors


def test_weights_are_stored_once_and_parts_hold_none(stored: StoredModel) -> None:
    part1, part2 = extract(stored, 2)
    assert (stored.folder / "weights.bin").stat().st_size == 2 * 8 * 8 * 9 * 4
    assert part1.path and part2.path
    assert part1.path.stat().st_size + part2.path.stat().st_size < 8 * 8 * 9 * 4


def test_a_cut_outside_the_model_is_refused(stored: StoredModel) -> None:
    with pytest.raises(UsageError, match="the model has 5 layers"):
        extract(stored, 6)


@pytest.mark.parametrize(("last", "place"), [(2, 0), (5, 1)])
def test_a_head_that_does_not_end_the_model_or_makes_none_of_its_outputs_is_refused(
    stored: StoredModel, last: int, place: int
) -> None:
    with pytest.raises(UsageError, match="the model has 5 layers and 1 outputs"):
        extract_part(stored, 1, last, (place,))


def test_a_stored_model_opens_as_the_graph_it_was(stored: StoredModel) -> None:
    assert open_stored(stored.folder) == stored


def test_two_machines_extract_the_same_bytes(stored: StoredModel, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(stored.folder, copy)
    for k in range(stored.graph.n + 1):
        for here, there in zip(extract(stored, k), extract(open_stored(copy), k), strict=True):
            if here.path and there.path:
                assert here.path.read_bytes() == there.path.read_bytes()


@pytest.mark.parametrize(
    "location", ["/etc/passwd", "../weights.bin", "./weights.bin", "other.bin"]
)
def test_a_stored_model_may_name_no_other_file(location: str, stored: StoredModel) -> None:
    change_reference(stored, location=location)
    with pytest.raises(UsageError, match=r"only weights\.bin may be named"):
        open_stored(stored.folder)


@pytest.mark.parametrize(
    "entries", [{"offset": "-64"}, {"offset": "1000000"}, {"length": "4"}, {"length": "1000000"}]
)
def test_a_stored_reference_outside_the_weights_is_refused(
    entries: dict[str, str], stored: StoredModel
) -> None:
    change_reference(stored, **entries)
    with pytest.raises(UsageError, match="is the file whole"):
        open_stored(stored.folder)


def test_stored_weights_that_are_truncated_are_refused(stored: StoredModel) -> None:
    path = stored.folder / "weights.bin"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(UsageError, match="is the file whole"):
        open_stored(stored.folder)


def test_a_stored_model_without_weights_is_refused(stored: StoredModel) -> None:
    (stored.folder / "weights.bin").unlink()
    with pytest.raises(UsageError, match=r"weights\.bin, which has 0"):
        open_stored(stored.folder)


def test_a_stored_constant_kept_in_a_file_is_refused(stored: StoredModel) -> None:
    path = stored.folder / "graph.onnx"
    proto = onnx.load(path, load_external_data=False)
    tensor = onnx.TensorProto(name="c", data_type=1, dims=[4], data_location="EXTERNAL")
    tensor.external_data.add(key="location", value="/etc/passwd")
    proto.graph.node[0].attribute.append(onnx.helper.make_attribute("value", tensor))
    path.write_bytes(proto.SerializeToString())
    with pytest.raises(UsageError, match=r"constant 'c' inside '/a/Conv' is kept in a file"):
        open_stored(stored.folder)


def test_a_stored_model_with_control_flow_is_refused(stored: StoredModel) -> None:
    models.save(models.looping(1), stored.folder / "graph.onnx")
    (stored.folder / "weights.bin").write_bytes(b"")
    with pytest.raises(UsageError, match=r"node '/y/Loop' is control flow \(Loop\)"):
        open_stored(stored.folder)


def test_a_stored_model_with_a_dynamic_input_is_refused(stored: StoredModel) -> None:
    path = stored.folder / "graph.onnx"
    proto = onnx.load(path, load_external_data=False)
    proto.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "N"
    path.write_bytes(proto.SerializeToString())
    with pytest.raises(UsageError, match="input 'x' cannot be fed"):
        open_stored(stored.folder)
