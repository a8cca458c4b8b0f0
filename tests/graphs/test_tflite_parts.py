"""What a TFLite model is stored as, what a part's file holds, and what is kept as it was."""

import shutil
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from splitbed.errors import UsageError
from splitbed.graphs.formats import format_of
from splitbed.graphs.parts import (
    Part,
    extract,
    open_stored,
    store,
    write_portable,
)
from splitbed.graphs.tflite.tables import Model
from tests.graphs.models import run_part, sample
from tests.graphs.tflite_models import DETECTION_OPTIONS, MODELS, data_dependent, stored_model


def read(part: Part) -> Any:
    assert part.path is not None
    return schema.ModelT.InitFromPackedBuf(part.path.read_bytes(), 0)


def tensor_of(part: Part, name: str) -> Any:
    return next(t for t in read(part).subgraphs[0].tensors if t.name == name.encode())


@pytest.mark.parametrize("name", [*MODELS, "data dependent"])
def test_a_stored_model_opens_as_the_graph_it_was(name: str, tmp_path: Path) -> None:
    stored = stored_model((MODELS | {"data dependent": data_dependent})[name](), tmp_path)
    assert open_stored(stored.folder, "tflite") == stored


@pytest.mark.parametrize("name", MODELS)
def test_two_machines_extract_the_same_bytes(name: str, tmp_path: Path) -> None:
    stored = stored_model(MODELS[name](), tmp_path)
    copy = tmp_path / "copy"
    shutil.copytree(stored.folder, copy)
    other = open_stored(copy, "tflite")
    for k in range(stored.graph.n + 1):
        for here, there in zip(extract(stored, k), extract(other, k), strict=True):
            if here.path and there.path:
                assert here.path.read_bytes() == there.path.read_bytes()


def test_a_part_is_a_file_of_the_format_of_its_model(tmp_path: Path) -> None:
    part = extract(stored_model(MODELS["chain"](), tmp_path), 2)[0]
    assert part.path is not None
    assert (part.path.suffix, format_of(part.path)) == (".tflite", "tflite")


def test_the_size_of_a_part_is_that_of_its_file(tmp_path: Path) -> None:
    part = extract(stored_model(MODELS["chain"](), tmp_path), 2)[0]
    assert part.path is not None
    assert part.nbytes == part.path.stat().st_size


def test_a_portable_part_runs_without_the_stored_model(tmp_path: Path) -> None:
    stored = stored_model(MODELS["chain"](), tmp_path)
    part = extract(stored, 2)[0]
    tensors = sample(part.inputs)
    expected = run_part(part, tensors)
    write_portable(part, tmp_path / "portable.tflite")
    shutil.rmtree(stored.folder)
    portable = Part(tmp_path / "portable.tflite", part.inputs, part.outputs, (), part.nbytes)
    assert portable.path is not None
    assert portable.path.stat().st_size == part.nbytes
    np.testing.assert_array_equal(run_part(portable, tensors)["b"], expected["b"])


def test_what_passes_through_a_part_is_not_in_its_file(tmp_path: Path) -> None:
    part1, part2 = extract(stored_model(MODELS["several inputs and outputs"](), tmp_path), 2)
    assert (part1.passthrough, part2.passthrough) == (("late",), ("early", "late"))
    assert len(read(part1).subgraphs[0].inputs) == 1
    assert len(read(part2).subgraphs[0].outputs) == 2


def test_a_part_holds_the_constants_that_it_reads_and_no_others(tmp_path: Path) -> None:
    stored = stored_model(MODELS["chain"](), tmp_path)
    held = [
        sum(len(buffer.data) for buffer in read(part).buffers if buffer.data is not None)
        for part in extract(stored, 1)
    ]
    assert held == [4 * (216 + 8), 4 * (72 + 8 + 40 + 5)]


def test_a_part_holds_the_operators_and_tensors_that_it_needs_and_no_others(
    tmp_path: Path,
) -> None:
    part = read(extract(stored_model(MODELS["int8 with a scale per channel"](), tmp_path), 4)[1])
    assert (len(part.operatorCodes), len(part.subgraphs[0].tensors)) == (1, 2)


def test_an_operator_on_constants_goes_wherever_it_is_read(tmp_path: Path) -> None:
    for part in extract(stored_model(MODELS["float16 weights"](), tmp_path), 2):
        data = [buffer.data for buffer in read(part).buffers if buffer.data is not None]
        assert sorted(map(len, data)) == [2 * 8, 2 * 576]


def test_constants_lie_at_multiples_of_16_bytes(tmp_path: Path) -> None:
    part = extract(stored_model(MODELS["chain"](), tmp_path), 4)[0]
    assert part.path is not None
    content = part.path.read_bytes()
    start = np.frombuffer(content, np.uint8).__array_interface__["data"][0]
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    places = [
        buffer.data.__array_interface__["data"][0] - start
        for buffer in model.buffers
        if buffer.data is not None
    ]
    assert places
    assert [place % 16 for place in places] == [0] * len(places)


def test_scales_per_channel_and_zero_points_are_kept(tmp_path: Path) -> None:
    part1, part2 = extract(stored_model(MODELS["int8 with a scale per channel"](), tmp_path), 2)
    weights, crossing = tensor_of(part1, "w1").quantization, tensor_of(part2, "a").quantization
    np.testing.assert_array_equal(weights.scale, np.linspace(0.001, 0.004, 8, dtype=np.float32))
    np.testing.assert_array_equal(crossing.scale, np.array([0.02], np.float32))
    np.testing.assert_array_equal(crossing.zeroPoint, [3])


def test_options_of_a_custom_operator_are_kept(tmp_path: Path) -> None:
    from flatbuffers import flexbuffers

    part = read(extract(stored_model(MODELS["detection"](), tmp_path), 3)[1])
    options = bytes(part.subgraphs[0].operators[0].customOptions)
    assert flexbuffers.Loads(options) == flexbuffers.Loads(flexbuffers.Dumps(DETECTION_OPTIONS))


def test_signatures_and_metadata_of_the_whole_are_not_those_of_a_part(tmp_path: Path) -> None:
    proto = MODELS["chain"]()
    proto.signatureDefs = [schema.SignatureDefT(inputs=[], outputs=[], signatureKey=b"serve")]
    kept, dropped = b"min_runtime_version", b"TFLITE_METADATA"
    proto.metadata = [schema.MetadataT(name=name, buffer=1) for name in (kept, dropped)]
    part = read(extract(stored_model(proto, tmp_path), 2)[0])
    assert not part.signatureDefs
    assert [entry.name for entry in part.metadata] == [kept]


def test_a_stored_model_that_is_truncated_is_refused(tmp_path: Path) -> None:
    stored = stored_model(MODELS["chain"](), tmp_path)
    path = stored.folder / "graph.tflite"
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(UsageError, match="damaged, or not a whole file"):
        open_stored(stored.folder, "tflite")


def test_a_stored_model_with_a_dynamic_input_is_refused(tmp_path: Path) -> None:
    stored = stored_model(MODELS["chain"](), tmp_path)
    cast(Model, stored.graph.model).subgraphs[0].tensors[0].shapeSignature = [-1, 8, 8, 3]
    store(stored.graph, stored.folder)
    with pytest.raises(UsageError, match="input 'x' cannot be fed"):
        open_stored(stored.folder, "tflite")
