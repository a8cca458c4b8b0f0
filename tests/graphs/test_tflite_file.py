"""What is refused of a TFLite file, and in which words."""

import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from ai_edge_litert import schema_py_generated as schema

from splitbed.errors import UsageError
from splitbed.graphs import parts
from splitbed.graphs.tflite import checks
from splitbed.graphs.tflite.file import parse
from splitbed.graphs.tflite.parts import load_graph
from tests.graphs.tflite_models import (
    MODELS,
    computed_shape,
    constant,
    model,
    op,
    save,
    tensor,
)


def refusal(path: Path) -> str:
    """The one line that says why ``path`` cannot be split; it names the file."""
    with pytest.raises(UsageError) as caught:
        load_graph(path)
    message = str(caught.value)
    assert path.name in message
    assert "\n" not in message
    return message


def refusal_of(proto: Any, folder: Path) -> str:
    return refusal(save(proto, folder / "model.tflite"))


def changed(name: str, change: Callable[[Any], None]) -> Any:
    proto = MODELS[name]()
    change(proto)
    return proto


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    assert "No such file" in refusal(tmp_path / "missing.tflite")


def test_a_file_of_another_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(b"not a model")
    assert "is not a TFLite file" in refusal(path)


@pytest.mark.parametrize("share", [0.01, 0.3, 0.6, 0.9])
def test_a_truncated_file_is_refused(share: float, tmp_path: Path) -> None:
    path = save(MODELS["chain"](), tmp_path / "model.tflite")
    content = path.read_bytes()
    path.write_bytes(content[: max(8, int(len(content) * share))])
    assert "is damaged, or not a whole file" in refusal(path)


def set_field(path: str, value: object) -> Callable[[Any], None]:
    """A change of what lies at ``path`` in the first subgraph, such as ``operators.0.inputs``."""

    def change(proto: Any) -> None:
        *steps, last = path.split(".")
        place = proto.subgraphs[0]
        for step in steps:
            place = place[int(step)] if step.isdigit() else getattr(place, step)
        setattr(place, last, value)

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (set_field("operators.0.inputs", [0, 1, 99]), "it names tensor 99 of 12"),
        (set_field("operators.0.inputs", [0, 1, -2]), "it names tensor -2 of 12"),
        (set_field("operators.0.outputs", [-1]), "it names tensor -1 of 12"),
        (set_field("inputs", [99]), "it names tensor 99 of 12"),
        (set_field("operators.0.opcodeIndex", 7), "it names operator code 7 of 3"),
        (set_field("tensors.1.buffer", 77), "it names buffer 77 of 7"),
        (set_field("tensors.1.shape", [8, 3, 3, 4]), "needs 1152 bytes, but has 864"),
        (set_field("tensors.1.shape", [8, 3, 3, -3]), r"has the shape \[8, 3, 3, -3\]"),
        (set_field("tensors.0.shape", [1, 80000, 80000, 3]), "is over 2 GB"),
        (set_field("tensors.0.type", 99), "type number 99"),
        (set_field("tensors.0.name", b"\xff"), "can't decode byte 0xff"),
        (set_field("tensors.0.isVariable", True), "'x' is kept from run to run"),
        (set_field("tensors.0.externalBuffer", 3), "outside the flatbuffer"),
        (set_field("inputs", []), "no inputs or no outputs"),
        (set_field("outputs", [10, 10]), "an output twice"),
        (set_field("outputs", [0, 0]), "an output twice"),
        (set_field("operators.0.inputs", [10, 1, 2]), "reads 'y' before it is written"),
        (set_field("operators.3.outputs", [3]), "writes 'a' anew"),
        (set_field("outputs", [11]), "no operator writes the output 'spare'"),
        (set_field("operators.0.mutatingVariableInputs", [True]), "CONV_2D keeps state"),
        (set_field("operators.0.builtinOptionsType", 250), "not in the schema"),
    ],
)
def test_damage_is_named(change: Callable[[Any], None], words: str, tmp_path: Path) -> None:
    proto = MODELS["chain"]()
    proto.subgraphs[0].tensors.append(schema.TensorT(name=b"spare", shape=[1]))
    change(proto)
    assert re.search(words, refusal_of(proto, tmp_path))


def test_an_operator_that_the_schema_does_not_know_is_named(tmp_path: Path) -> None:
    proto = MODELS["chain"]()
    proto.operatorCodes[0].builtinCode = 999
    assert re.search("number 999 .*pip install --upgrade", refusal_of(proto, tmp_path))


def test_an_operator_that_the_runtime_lacks_is_named(tmp_path: Path) -> None:
    proto = model({"x": tensor([4]), "y": tensor([4])}, [op("MyOwnOp", "x", "y")], "x", "y")
    assert re.search("TFLite cannot run it: .*custom op: MyOwnOp", refusal_of(proto, tmp_path))


def test_an_operator_of_tensorflow_is_named(tmp_path: Path) -> None:
    proto = model({"x": tensor([4]), "y": tensor([4])}, [op("FlexErf", "x", "y")], "x", "y")
    assert "FlexErf" in refusal_of(proto, tmp_path)


@pytest.mark.parametrize("computed", ["indices", "shape"])
def test_indices_that_an_older_kernel_writes_at_are_constant(
    computed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def writing(inputs: str, **changed: Any) -> Any:
        tensors = {
            "indices": constant(np.array([[0], [1]], np.int32)),
            "shape": constant(np.array([8], np.int32)),
            "values": tensor([2]),
            "zero": tensor([]),
            "y": tensor([8]),
        }
        options = schema.SparseToDenseOptionsT()
        writes = op("SPARSE_TO_DENSE", "indices shape values zero", "y", options)
        return model(tensors | changed, [writes], inputs, "y")

    given = {computed: tensor([2, 1] if computed == "indices" else [1], np.int32)}
    monkeypatch.setattr(checks, "is_older", lambda: False)
    parse(save(writing(f"{computed} values zero", **given), tmp_path / "computed.tflite"))
    monkeypatch.setattr(checks, "is_older", lambda: True)
    parse(save(writing("values zero"), tmp_path / "constant.tflite"))
    proto = writing(f"{computed} values zero", **given)
    assert "its SPARSE_TO_DENSE computes with sizes or indices" in refusal_of(proto, tmp_path)


def test_sizes_that_shapes_decide_are_no_frames(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "is_older", lambda: True)
    tensors = {
        "x": tensor([4]), "size": tensor([1], np.int32), "zero": constant(np.zeros((), np.float32)),
        "y": tensor([4]),
    }  # fmt: skip
    shape = op("SHAPE", "x", "size", schema.ShapeOptionsT(outType=schema.TensorType.INT32))
    fill = op("FILL", "size zero", "y", schema.FillOptionsT())
    parse(save(model(tensors, [shape, fill], "x", "y"), tmp_path / "model.tflite"))


@pytest.mark.parametrize("dtype", [np.float32, np.int32])
def test_older_kernels_divide_integers_by_constants_alone(
    dtype: npt.DTypeLike, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "is_older", lambda: True)
    tensors = {name: tensor([4], dtype) for name in "xyz"}
    path = save(
        model(tensors, [op("DIV", "x y", "z", schema.DivOptionsT())], "x y", "z"),
        tmp_path / "model.tflite",
    )
    if dtype is np.float32:
        parse(path)
    else:
        assert "its DIV computes with" in refusal(path)


def test_control_flow_is_refused(tmp_path: Path) -> None:
    proto = MODELS["chain"]()
    proto.subgraphs.append(proto.subgraphs[0])
    assert "it has 2 subgraphs (control flow" in refusal_of(proto, tmp_path)


def test_weights_outside_the_flatbuffer_are_refused(tmp_path: Path) -> None:
    proto = MODELS["chain"]()
    proto.buffers[1] = schema.BufferT(offset=4096, size=864)
    assert "its weights are outside the flatbuffer" in refusal_of(proto, tmp_path)


def test_a_variable_is_refused(tmp_path: Path) -> None:
    proto = model(
        {"x": tensor([4]), "handle": tensor([1], np.int32), "y": tensor([4])},
        [op("VAR_HANDLE", "", "handle"), op("RELU", "x", "y")],
        "x",
        "y",
    )
    assert "VAR_HANDLE keeps state" in refusal_of(proto, tmp_path)


def test_constant_text_is_refused(tmp_path: Path) -> None:
    proto = MODELS["chain"]()
    words = constant(np.zeros(4, np.uint8))
    words.type, words.buffer, words.name = schema.TensorType.STRING, 1, b"words"
    proto.subgraphs[0].tensors.append(words)
    assert "'words' is STRING, not numbers" in refusal_of(proto, tmp_path)


def test_an_input_of_text_is_refused(tmp_path: Path) -> None:
    proto = changed("chain", set_field("tensors.0.type", schema.TensorType.STRING))
    assert "input 'x' is STRING, so it cannot be fed" in refusal_of(proto, tmp_path)


def test_an_output_that_the_wire_does_not_know_is_refused(tmp_path: Path) -> None:
    proto = changed("chain", set_field("tensors.10.type", schema.TensorType.COMPLEX64))
    assert "y" in refusal_of(proto, tmp_path)


def test_kernels_that_do_not_fit_are_refused_by_the_interpreter(tmp_path: Path) -> None:
    proto = changed("chain", set_field("tensors.0.shape", [1, 8, 8, 4]))
    assert "TFLite cannot run it" in refusal_of(proto, tmp_path)


def test_an_input_left_open_is_refused_with_the_repair(tmp_path: Path) -> None:
    message = refusal_of(computed_shape(), tmp_path)
    assert message.endswith("; fix it, for example with --shape x=1x224x224x3")


@pytest.mark.parametrize(
    ("shapes", "words"),
    [
        ({"image": (1, 2, 2, 3)}, "--shape names 'image'; the model's inputs are x"),
        ({"x": (1, 2, 2, 4)}, r"the shape 1x2x2x4; the model needs \?x\?x\?x3"),
        ({"x": (1, 2, 3)}, "the shape 1x2x3; the model needs"),
        ({"x": (0, 2, 2, 3)}, "each dimension at least 1"),
    ],
)
def test_a_shape_that_does_not_fit_is_refused(
    shapes: dict[str, tuple[int, ...]], words: str, tmp_path: Path
) -> None:
    path = save(computed_shape(), tmp_path / "model.tflite")
    with pytest.raises(UsageError, match=words):
        load_graph(path, shapes)


@pytest.mark.parametrize("name", ["chain", "int8 with a scale per channel", "detection"])
def test_random_damage_gives_a_refusal_or_a_model(name: str, tmp_path: Path) -> None:
    """Of 300 damaged copies each is refused in one line, or parses to what can be stored again."""
    path = save(MODELS[name](), tmp_path / "model.tflite")
    content = path.read_bytes()
    rng = random.Random(0)
    refused = 0
    for _ in range(300):
        damaged = bytearray(content)
        for _ in range(rng.choice((1, 2, 8))):
            damaged[rng.randrange(len(damaged))] = rng.choice(
                (0, 1, 0x7F, 0xFF, rng.randrange(256))
            )
        path.write_bytes(damaged[: rng.choice((len(damaged), rng.randrange(len(damaged))))])
        try:
            parse(path)
        except UsageError as error:
            assert "\n" not in str(error)
            refused += 1
    assert 100 < refused < 300


def test_some_damage_reaches_the_interpreter_and_is_survived(tmp_path: Path) -> None:
    """12 damaged copies that parse are loaded and cut, or refused: this process lives on."""
    path = save(MODELS["detection"](), tmp_path / "model.tflite")
    content = path.read_bytes()
    rng = random.Random(1)
    tried = 0
    while tried < 12:
        damaged = bytearray(content)
        damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
        path.write_bytes(damaged)
        try:
            parse(path)
        except UsageError:
            continue
        tried += 1
        try:
            stored = parts.store(load_graph(path), tmp_path / "stored")
            parts.extract(stored, 1)
        except UsageError as error:
            assert "\n" not in str(error)
    assert tried == 12
