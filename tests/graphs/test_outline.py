"""An ONNX file read without its weights: the same model but for their values."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper

from splitbed.errors import UsageError
from splitbed.graphs.onnx.graph import parse, parse_outline
from splitbed.graphs.onnx.outline import outline
from splitbed.graphs.onnx.parts import check_received
from splitbed.graphs.onnx.weights import INLINE_BELOW_BYTES
from splitbed.model_data import read_model, write_model
from tests.node.loopback import small_model


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The small model with a weight of each way to be kept."""
    model = onnx.load(small_model(tmp_path / "small.onnx"))
    many = np.arange(INLINE_BELOW_BYTES, dtype=np.int64)
    model.graph.initializer.append(numpy_helper.from_array(many, "many"))
    listed = TensorProto(name="listed", data_type=TensorProto.FLOAT, dims=[many.size])
    listed.float_data.extend(map(float, many))
    few = numpy_helper.from_array(many[:3], "few")
    model.graph.initializer.extend([listed, few])
    onnx.save(model, tmp_path / "all.onnx")
    return tmp_path / "all.onnx"


def test_all_but_the_values_of_larger_weights_is_there(file: Path) -> None:
    whole = parse(file)
    for tensor in whole.graph.initializer:
        if tensor.name in ("w2", "many", "listed"):
            tensor.ClearField("raw_data")
            tensor.ClearField("float_data")
    assert parse_outline(file) == whole
    assert len(outline(file)) < 3000 < len(file.read_bytes()) / 4


def test_a_file_whose_weights_follow_its_graph_is_one_as_well(file: Path, tmp_path: Path) -> None:
    write_model(read_model(file), tmp_path / "rebuilt.onnx")
    rebuilt = parse_outline(tmp_path / "rebuilt.onnx")
    assert {one.name for one in rebuilt.graph.initializer} == {"w1", "w2", "many", "listed", "few"}
    assert rebuilt.graph.node == parse(file).graph.node


def test_a_weight_in_another_file_is_found_wherever_it_is_said(tmp_path: Path) -> None:
    file = small_model(tmp_path / "small.onnx")
    model = onnx.load(file)
    beside = onnx.ModelProto()
    beside.graph.initializer.add(name="w3", data_location=TensorProto.EXTERNAL)
    # protobuf merges what comes behind into the graph before
    file.write_bytes(model.SerializeToString() + beside.SerializeToString())
    with pytest.raises(UsageError, match="'w3' of a part that came lies in another file"):
        check_received(file)


@pytest.mark.parametrize("cut", [0, 1, 40, 1000])
def test_what_is_no_whole_file_is_told_as_before(file: Path, cut: int) -> None:
    file.write_bytes(file.read_bytes()[:cut])
    with pytest.raises(UsageError) as found:
        parse_outline(file)
    with pytest.raises(UsageError) as before:
        parse(file)
    assert str(found.value) == str(before.value)
