"""Trained weights of PoseNet: by name in each format's order of axes, or by structure."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from ai_edge_litert import schema_py_generated as schema
from onnx import numpy_helper

from splitbed.errors import UsageError
from splitbed.graphs.tflite import file as tflite_file
from splitbed.zoo.layers import Weights
from splitbed.zoo.posenet import model as posenet
from splitbed.zoo.posenet.layers import PoseLayer, layers
from splitbed.zoo.posenet.onnx import to_onnx
from splitbed.zoo.posenet.tflite import to_tflite
from splitbed.zoo.posenet.weights import load
from tests.zoo.reference import real_posenet, reference
from tests.zoo.test_posenet import largest_difference, picture, run_onnx, run_tflite

WIDTH = 0.5  # the quickest
ROWS = layers(WIDTH)
WRITERS = {"onnx": to_onnx, "tflite": to_tflite}
Arrays = dict[str, np.ndarray]


def made_up() -> Weights:
    """Weights and biases that are all different."""
    rng = np.random.default_rng(7)
    return {
        row.name: (
            rng.standard_normal(row.shape, np.float32),
            rng.standard_normal(row.outputs, np.float32),
        )
        for row in ROWS
    }


WEIGHTS = made_up()


def published(weights: Weights = WEIGHTS) -> Arrays:
    """As the published files spell and order them: HWIO, and HWC1 where depthwise."""
    arrays = {}
    for row in ROWS:
        weight, bias = weights[row.name]
        stem = f"MobilenetV1/{row.name.removeprefix('MobilenetV1/')}"
        kind = "depthwise_weights" if row.depthwise else "weights"
        arrays[f"{stem}/{kind}"] = weight.transpose((2, 3, 0, 1) if row.depthwise else (2, 3, 1, 0))
        arrays[f"{stem}/biases"] = bias
    return arrays


def saved(folder: Path, arrays: Arrays) -> Path:
    np.savez(folder / "weights.npz", **arrays)  # type: ignore[arg-type]  # its stub takes allow_pickle for a tensor
    return folder / "weights.npz"


def written(folder: Path, suffix: str, weights: Weights = WEIGHTS) -> Path:
    path = folder / f"weights.{suffix}"
    path.write_bytes(WRITERS[suffix](ROWS, weights, "made up"))
    return path


def same(loaded: Weights, weights: Weights = WEIGHTS) -> bool:
    return loaded.keys() == weights.keys() and all(
        np.array_equal(loaded[name][0], weight) and np.array_equal(loaded[name][1], bias)
        for name, (weight, bias) in weights.items()
    )


def refusal(path: Path, width: float = WIDTH) -> str:
    with pytest.raises(UsageError) as caught:
        load(path, width)
    return str(caught.value)


@pytest.mark.parametrize(
    "spelling",
    [
        lambda name: name,
        lambda name: name.replace("/", "__"),
        lambda name: name.replace("/", "_"),
        lambda name: name.removeprefix("MobilenetV1/"),
        lambda name: name.replace("depthwise_weights", "weights"),
        lambda name: f"{name}/read",
        lambda name: f"{name}:0",
    ],
    ids=["published", "__", "_", "bare", "plain", "read", "tensorflow"],
)
def test_an_npz_is_read_by_its_names(tmp_path: Path, spelling: Callable[[str], str]) -> None:
    path = saved(tmp_path, {spelling(name): values for name, values in published().items()})
    assert same(load(path, WIDTH)[0])


def test_an_npz_may_hold_the_order_of_onnx(tmp_path: Path) -> None:
    arrays: Arrays = {}
    for name, (weight, bias) in WEIGHTS.items():
        arrays |= {f"{name}/weights": weight, f"{name}/biases": bias}
    assert same(load(saved(tmp_path, arrays), WIDTH)[0])


@pytest.mark.parametrize("suffix", WRITERS)
def test_a_file_of_our_own_gives_its_weights_back(tmp_path: Path, suffix: str) -> None:
    assert same(load(written(tmp_path, suffix), WIDTH)[0])


def test_a_seeded_file_loaded_as_weights_gives_the_same_outputs(tmp_path: Path) -> None:
    path = tmp_path / "seeded.tflite"
    path.write_bytes(posenet.build(0, None, WIDTH)[0])
    again, origin = posenet.build(0, path, WIDTH)
    expected, found = (run_tflite(file, picture()) for file in (path.read_bytes(), again))
    assert origin.startswith("seeded.tflite sha256:")
    assert all(np.array_equal(expected[name], found[name]) for name in expected)


def test_half_precision_is_read_as_single(tmp_path: Path) -> None:
    halves = {name: values.astype(np.float16) for name, values in published().items()}
    loaded, _ = load(saved(tmp_path, halves), WIDTH)
    assert loaded["Conv2d_0"][0].dtype == np.float32


def test_the_origin_is_the_files_name_and_hash(tmp_path: Path) -> None:
    path = saved(tmp_path, published())
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert load(path, WIDTH)[1] == f"weights.npz sha256:{digest}"


def test_the_origin_counts_what_was_left_in_the_file(tmp_path: Path) -> None:
    arrays = published() | {"MobilenetV1/heatmap_1/biases": np.zeros(17, np.float32)}
    assert load(saved(tmp_path, arrays), WIDTH)[1].endswith(", 1 tensors unused")


def test_both_formats_say_where_the_weights_are_from(tmp_path: Path) -> None:
    path = saved(tmp_path, published())
    onnx_file, origin = posenet.build(0, path, WIDTH, "onnx")
    tflite_file_bytes, _ = posenet.build(0, path, WIDTH, "tflite")
    assert onnx.load_from_string(onnx_file).metadata_props[0].value == origin
    assert origin.encode() in tflite_file_bytes


# --- by structure -------------------------------------------------------------------------------


def anonymous_onnx(folder: Path, order: tuple[int, ...] = (0, 1, 2, 3), keep: str = "") -> Path:
    """A file whose names say nothing, but those of tensors with ``keep`` in them."""
    model = onnx.load_from_string(to_onnx(ROWS, WEIGHTS, ""))
    heads = [model.graph.node[-4 + place] for place in order]
    del model.graph.node[-4:]
    model.graph.node.extend(heads)
    names: dict[str, str] = {"image": "image"}

    def renamed(name: str) -> str:
        return name if keep and keep in name else names.setdefault(name, f"t{len(names)}")

    for node in model.graph.node:
        node.name = ""
        node.input[:] = [renamed(name) for name in node.input]
        node.output[:] = [renamed(name) for name in node.output]
    for tensor in model.graph.initializer:
        tensor.name = renamed(tensor.name)
    for output in model.graph.output:
        output.name = renamed(output.name)
    path = folder / "anonymous.onnx"
    onnx.save(model, path)
    return path


def anonymous_tflite(folder: Path, change: Callable[[schema.ModelT], None]) -> Path:
    """A file whose constants are called by number, after ``change``."""
    model = tflite_file.parse(written(folder, "tflite"))
    for number, tensor in enumerate(model.subgraphs[0].tensors):
        if model.buffers[tensor.buffer].data is not None:
            tensor.name = f"constant {number}".encode()
    change(model)
    path = folder / "anonymous.tflite"
    path.write_bytes(tflite_file.serialised(model))
    return path


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 1, 0, 2)])
def test_onnx_is_read_by_structure_with_its_heads_in_any_order(
    tmp_path: Path, order: tuple[int, ...]
) -> None:
    path = anonymous_onnx(tmp_path, order, keep="displacement")
    assert same(load(path, WIDTH)[0])


def test_tflite_is_read_by_structure(tmp_path: Path) -> None:
    assert same(load(anonymous_tflite(tmp_path, lambda model: None), WIDTH)[0])


def test_displacements_that_cannot_be_told_apart_are_refused(tmp_path: Path) -> None:
    message = refusal(anonymous_onnx(tmp_path))
    assert "2 heads have 32 channels" in message
    assert "which is displacement_bwd_2" in message


def test_another_width_is_said_of_a_file_without_names_too(tmp_path: Path) -> None:
    assert "are of width 0.5, not 1: give --width 0.5" in refusal(anonymous_onnx(tmp_path), 1.0)


def halved(model: schema.ModelT) -> None:
    """Keep the weights in half precision and dequantise them first, as TensorFlow's converter."""
    graph = model.subgraphs[0]
    model.operatorCodes.append(
        schema.OperatorCodeT(
            deprecatedBuiltinCode=schema.BuiltinOperator.DEQUANTIZE,
            builtinCode=schema.BuiltinOperator.DEQUANTIZE,
        )
    )
    unpackings = []
    for operator in graph.operators:
        weight = graph.tensors[operator.inputs[1]]
        single = np.frombuffer(model.buffers[weight.buffer].data.tobytes(), np.float32)
        model.buffers[weight.buffer].data = np.frombuffer(
            single.astype(np.float16).tobytes(), np.uint8
        )
        weight.type = schema.TensorType.FLOAT16
        graph.tensors.append(
            schema.TensorT(shape=weight.shape, name=weight.name + b" unpacked", hasRank=True)
        )
        place = len(graph.tensors) - 1
        unpackings.append(
            schema.OperatorT(
                opcodeIndex=len(model.operatorCodes) - 1,
                inputs=[operator.inputs[1]],
                outputs=[place],
                intermediates=[],
            )
        )
        operator.inputs = [operator.inputs[0], place, operator.inputs[2]]
    graph.operators[:0] = unpackings


def test_tflite_of_half_precision_is_read(tmp_path: Path) -> None:
    loaded, _ = load(anonymous_tflite(tmp_path, halved), WIDTH)
    halves = {
        name: (weight.astype(np.float16).astype(np.float32), bias)
        for name, (weight, bias) in WEIGHTS.items()
    }
    assert same(loaded, halves)


# --- what does not fit --------------------------------------------------------------------------


def test_missing_weights_are_named(tmp_path: Path) -> None:
    arrays = published()
    del arrays["MobilenetV1/Conv2d_13_pointwise/weights"]
    del arrays["MobilenetV1/offset_2/biases"]
    assert refusal(saved(tmp_path, arrays)).splitlines()[1:] == [
        "  missing: Conv2d_13_pointwise/weights (1, 1, 256, 256)",
        "  missing: MobilenetV1/offset_2/biases (34,)",
    ]


def test_a_wrong_shape_is_given_in_the_files_own_order(tmp_path: Path) -> None:
    arrays = published() | {"MobilenetV1/Conv2d_2_pointwise/weights": np.zeros((1, 1, 32, 9))}
    message = refusal(saved(tmp_path, arrays))
    assert (
        "wrong: Conv2d_2_pointwise/weights: expected (1, 1, 32, 64), got (1, 1, 32, 9)" in message
    )


def test_weights_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    arrays = published() | {"MobilenetV1/Conv2d_0/biases": np.full(16, np.nan, np.float32)}
    assert "Conv2d_0/biases: holds values that are not finite" in refusal(saved(tmp_path, arrays))


def test_quantised_weights_are_refused(tmp_path: Path) -> None:
    arrays = {name: values.astype(np.uint8) for name, values in published().items()}
    message = refusal(saved(tmp_path, arrays))
    assert "Conv2d_0/weights: expected floating point, got uint8" in message


@pytest.mark.parametrize(("width", "words"), [(0.75, "width 0.5, not 0.75"), (1.0, "not 1:")])
def test_another_width_is_said_in_one_line(tmp_path: Path, width: float, words: str) -> None:
    (line,) = refusal(written(tmp_path, "tflite"), width).splitlines()
    assert words in line
    assert "--width 0.5" in line


def test_two_arrays_of_one_name_are_refused(tmp_path: Path) -> None:
    arrays = published()
    arrays["Conv2d_0/weights"] = arrays["MobilenetV1/Conv2d_0/weights"]
    message = refusal(saved(tmp_path, arrays))
    assert "Conv2d_0/weights" in message
    assert "MobilenetV1/Conv2d_0/weights or Conv2d_0/weights" in message


def test_a_graph_of_another_network_is_refused_in_a_line(tmp_path: Path) -> None:
    short: tuple[PoseLayer, ...] = ROWS[:3]
    model = onnx.load_from_string(to_onnx(short, {r.name: WEIGHTS[r.name] for r in short}, ""))
    for tensor in model.graph.initializer:
        tensor.name = f"other {tensor.name} "
    for node in model.graph.node:
        node.input[1:] = [f"other {name} " for name in node.input[1:]]
    path = tmp_path / "other.onnx"
    onnx.save(model, path)
    assert "it has 3 convolutions, not 31" in refusal(path)


def test_a_convolution_without_a_bias_is_refused(tmp_path: Path) -> None:
    model = onnx.load(anonymous_onnx(tmp_path, keep="displacement"))
    del model.graph.node[0].input[2]
    path = tmp_path / "unbiased.onnx"
    onnx.save(model, path)
    assert "missing: Conv2d_0/biases (16,)" in refusal(path)


def test_weights_outside_the_onnx_file_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "external.onnx"
    onnx.save(onnx.load_from_string(to_onnx(ROWS, WEIGHTS, "")), path, save_as_external_data=True)
    assert "in another file" in refusal(path)


@pytest.mark.parametrize("suffix", ["npz", "onnx", "tflite"])
@pytest.mark.parametrize("cut", [0, 7, 5000, -1000])
def test_a_truncated_file_is_refused(tmp_path: Path, suffix: str, cut: int) -> None:
    path = saved(tmp_path, published()) if suffix == "npz" else written(tmp_path, suffix)
    path.write_bytes(path.read_bytes()[:cut])
    assert str(path) in refusal(path)


def test_an_unknown_suffix_is_refused_with_the_choices(tmp_path: Path) -> None:
    assert ".tflite, .onnx, .npz" in refusal(tmp_path / "weights.pt")


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert "there is no such file" in refusal(tmp_path / "weights.npz")


# --- the real weights ---------------------------------------------------------------------------


def test_real_weights_give_the_outputs_of_their_own_file() -> None:
    path = reference("posenet_mobilenet_v1_075_257x257_os16.onnx")
    file, _ = posenet.build(0, path, 0.75, "onnx")
    real = real_posenet().SerializeToString()
    expected, found = run_onnx(real, picture()), run_onnx(file, picture())
    assert all(np.array_equal(expected[name], found[name]) for name in expected)


def test_real_weights_give_the_same_outputs_on_tflite() -> None:
    path = reference("posenet_mobilenet_v1_075_257x257_os16.onnx")
    file, _ = posenet.build(0, path, 0.75, "tflite")
    outputs = run_onnx(real_posenet().SerializeToString(), picture())
    assert largest_difference(outputs, run_tflite(file, picture())) < 2e-5


def test_an_incomplete_model_is_refused_with_what_it_lacks(tmp_path: Path) -> None:
    """Width 1.00 is complete but for one weight of 4 MiB."""
    part = onnx.load(reference("posenet_mobilenet_v1_100_257x257_os16_layers1-26.onnx"))
    arrays = {t.name: numpy_helper.to_array(t) for t in part.graph.initializer if t.dims}
    with np.load(reference("posenet_mobilenet_v1_100_heads_and_conv13_bias.npz")) as heads:
        arrays |= dict(heads)
    _, *misfits = refusal(saved(tmp_path, arrays), 1.0).splitlines()
    assert misfits == ["  missing: Conv2d_13_pointwise/weights (1, 1, 1024, 1024)"]
