"""PoseNet is the network of clause 10.2 in both formats: names, order, sizes, parameters."""

import csv
import functools
import hashlib
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from ai_edge_litert import schema_py_generated as schema

from splitbed.errors import UsageError
from splitbed.graphs.formats import load_graph
from splitbed.graphs.graph import Graph
from splitbed.media.pictures import load_pictures, preprocess
from splitbed.media.recipes import PictureRecipe
from splitbed.runtime.tflite import interpreter_class
from splitbed.zoo.posenet import model as posenet
from splitbed.zoo.posenet.layers import HEADS, WIDTHS, layers
from tests.zoo.reference import real_posenet

SHARED = Path(__file__).parents[3] / "shared/reference"
SEED_0 = "ab7fdc2feeede7e5cdce7bbb228a607a1676af5834366580fa440d246b5b5162"
CUT_BYTES = (
    792588,
    *(2130048, 2130048, 4260096),
    *(1081600, 2163200, 2163200, 2163200),
    *(557568, 1115136, 1115136, 1115136),
    *(295936, *(591872,) * 12),
    *(1183744,) * 3,
)
"""FP32 bytes of the tensor at the cuts 0:31 .. 27:4, as published for clause 10.2.13."""

Outputs = dict[str, np.ndarray]


@functools.cache
def built(model_format: str, width: float = 1.0) -> bytes:
    return posenet.build(0, None, width, model_format)[0]


@functools.cache
def picture() -> np.ndarray:
    """The default picture as PoseNet's input, NCHW."""
    recipe = PictureRecipe(257, 257, mean=(0.5,) * 3, std=(0.5,) * 3)
    return preprocess(load_pictures()[0].read(), recipe)


def run_onnx(file: bytes, image: np.ndarray) -> Outputs:
    session = ort.InferenceSession(file, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {"image": image}), strict=True))


def run_tflite(file: bytes, image: np.ndarray) -> Outputs:
    """The outputs for an image that is NCHW, as they are."""
    interpreter = interpreter_class()(model_content=file)
    interpreter.allocate_tensors()
    (fed,) = interpreter.get_input_details()
    interpreter.set_tensor(fed["index"], np.ascontiguousarray(image.transpose(0, 2, 3, 1)))
    interpreter.invoke()
    outputs = interpreter.get_output_details()
    return {output["name"]: interpreter.get_tensor(output["index"]) for output in outputs}


def largest_difference(nchw: Outputs, nhwc: Outputs) -> float:
    """Of two files' outputs, as a share of each output's range."""
    return max(
        float(np.abs(nhwc[name].transpose(0, 3, 1, 2) - values).max() / np.abs(values).max())
        for name, values in nchw.items()
    )


def unpacked(file: bytes) -> schema.ModelT:
    return schema.ModelT.InitFromPackedBuf(file)


def test_1_0_has_the_parameters_of_the_network_and_not_the_clauses() -> None:
    assert posenet.parameters() == 3_313_907


@pytest.mark.parametrize(("width", "parameters"), [(0.75, 1_258_195), (0.5, 577_459)])
def test_narrow_models_have_fewer_parameters(width: float, parameters: int) -> None:
    assert posenet.parameters(width) == parameters


@pytest.mark.parametrize("model_format", posenet.FORMATS)
def test_a_file_holds_all_parameters_and_little_else(model_format: str) -> None:
    assert 0 < len(built(model_format)) - 4 * posenet.parameters() < 20_000


def test_the_file_has_the_size_of_the_clause() -> None:
    assert round(len(built("tflite")) / 1e6, 1) == 13.3


def graph(folder: Path, model_format: str, width: float = 1.0) -> Graph:
    path = folder / f"posenet.{model_format}"
    path.write_bytes(built(model_format, width))
    return load_graph(path)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("model_format", posenet.FORMATS)
def test_both_formats_have_the_same_31_layers(
    tmp_path: Path, model_format: str, width: float
) -> None:
    found = [layer.name for layer in graph(tmp_path, model_format, width).layers]
    assert found == [row.name for row in layers(width)]
    assert len(found) == 31


@pytest.mark.parametrize("model_format", posenet.FORMATS)
def test_the_published_bytes_cross_the_published_cuts(tmp_path: Path, model_format: str) -> None:
    cuts = graph(tmp_path, model_format).cuts
    assert tuple(cut.nbytes for cut in cuts[:28]) == CUT_BYTES


def test_the_layers_are_those_of_the_published_table() -> None:
    table = SHARED / "posenet_split_samsung.csv"
    if not table.is_file():
        pytest.skip(f"the published table is not at {table}")
    with table.open(newline="") as file:
        first, *published = csv.DictReader(file)
    assert int(first["derived_tensor_bytes_fp32"]) == CUT_BYTES[0]
    assert [tuple(row.values())[7:11] for row in published] == [
        (
            row.name,
            row.output,
            f"1x{row.side}x{row.side}x{row.outputs}",
            str(4 * row.side**2 * row.outputs),
        )
        for row in layers(1.0)[:27]
    ]


def test_the_onnx_graph_is_the_reference_models() -> None:
    def nodes(model: onnx.ModelProto) -> list[bytes]:
        for node in model.graph.node:
            del node.metadata_props[:]
            node.attribute.sort(key=lambda attribute: attribute.name)
        return [node.SerializeToString() for node in model.graph.node]

    assert nodes(onnx.load_from_string(built("onnx", 0.75))) == nodes(real_posenet())


def test_the_onnx_file_is_valid() -> None:
    onnx.checker.check_model(onnx.load_from_string(built("onnx")), full_check=True)


def test_tflite_has_31_operators_of_which_the_heads_alone_lack_a_relu6() -> None:
    operators = unpacked(built("tflite")).subgraphs[0].operators
    fused = [operator.builtinOptions.fusedActivationFunction for operator in operators]
    assert fused == [schema.ActivationFunctionType.RELU6] * 27 + [0] * 4


def test_tflite_weights_begin_at_multiples_of_16_bytes() -> None:
    file = built("tflite")
    model = schema.Model.GetRootAs(file, 0)
    start = np.frombuffer(file, np.uint8).ctypes.data
    for index in range(1, model.BuffersLength()):
        assert (model.Buffers(index).DataAsNumpy().ctypes.data - start) % 16 == 0


@pytest.mark.parametrize("width", WIDTHS)
def test_both_formats_give_the_same_outputs(width: float) -> None:
    outputs = run_onnx(built("onnx", width), picture())
    # 27 layers of FP32 sums, each in another order: about 1e-5 is left of 1e-7.
    assert largest_difference(outputs, run_tflite(built("tflite", width), picture())) < 1e-4


def test_outputs_are_those_of_the_published_model() -> None:
    outputs = run_tflite(built("tflite"), picture())
    assert {name: value.shape for name, value in outputs.items()} == {
        name: (1, 17, 17, channels) for name, channels in HEADS.items()
    }


def test_tflite_says_where_its_weights_are_from() -> None:
    assert unpacked(built("tflite")).description.endswith(b"; weights: seeded (seed 0)")


def test_onnx_says_where_its_weights_are_from() -> None:
    props = onnx.load_from_string(built("onnx")).metadata_props
    assert {prop.key: prop.value for prop in props} == {"weights": "seeded (seed 0)"}


def test_a_seed_gives_the_same_weights_on_every_machine() -> None:
    digest = hashlib.sha256()
    for tensor in onnx.load_from_string(built("onnx")).graph.initializer:
        digest.update(tensor.raw_data)
    assert digest.hexdigest() == SEED_0


@pytest.mark.parametrize("model_format", posenet.FORMATS)
def test_a_seed_gives_the_same_file_again(model_format: str) -> None:
    assert posenet.build(0, None, 0.5, model_format)[0] == built(model_format, 0.5)


def test_another_seed_gives_another_model() -> None:
    file, origin = posenet.build(seed=1, width=0.5)
    assert origin == "seeded (seed 1)"
    assert file != built("tflite", 0.5)


def test_an_unknown_width_is_refused_with_the_choices() -> None:
    with pytest.raises(UsageError, match=r"width 0\.6: choose 1\.0, 0\.75, 0\.5"):
        posenet.build(width=0.6)


def test_an_unknown_format_is_refused_with_the_choices() -> None:
    with pytest.raises(UsageError, match="'pb': choose tflite or onnx"):
        posenet.build(model_format="pb")
