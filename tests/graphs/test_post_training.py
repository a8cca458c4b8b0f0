"""Post-training quantisation: what is in 8 bits, what stays, and where the result can be cut."""

from pathlib import Path

import numpy as np
import onnx
import pytest

from splitbed.errors import UsageError
from splitbed.graphs.formats import load_graph
from splitbed.graphs.onnx.post_training import quantise
from splitbed.graphs.parts import extract, store
from splitbed.graphs.splits import resolve
from splitbed.runtime.session import PartSession
from splitbed.tensors import Tensors
from splitbed.zoo import ZOO, Variant

SHAPESNET = ZOO["shapesnet"]


def frames(count: int) -> list[Tensors]:
    rng = np.random.default_rng(0)
    return [
        {"image": rng.uniform(-1, 1, (1, 3, 192, 256)).astype(np.float32)} for _ in range(count)
    ]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("detector") / "shapesnet.onnx"
    file.write_bytes(SHAPESNET.build(Variant("onnx"))[0])
    return file


@pytest.fixture(scope="module")
def quantised(original: Path) -> Path:
    file = original.with_name("quantised.onnx")
    quantise(original, file, frames(2))
    return file


def test_the_file_is_about_a_quarter_and_says_the_same_shapes(
    original: Path, quantised: Path
) -> None:
    assert quantised.stat().st_size < 0.35 * original.stat().st_size
    before, after = load_graph(original), load_graph(quantised)
    assert (before.inputs, before.outputs) == (after.inputs, after.outputs)


def test_nodes_stay_in_their_order_so_that_cuts_are_where_they_were(
    original: Path, quantised: Path
) -> None:
    before, after = (
        [node.name for node in onnx.load(file).graph.node] for file in (original, quantised)
    )
    assert [name for name in after if name in before] == before


def test_eight_bits_cross_at_every_named_split_and_halves_give_what_the_whole_gives(
    original: Path, quantised: Path, tmp_path: Path
) -> None:
    graph, plain = load_graph(quantised), load_graph(original)
    stored = store(graph, tmp_path)
    (given,) = frames(1)
    _, whole = extract(stored, 0)
    with PartSession(whole.path, whole.inputs, whole.outputs) as session:
        expected = session.run(given)
    named = SHAPESNET.named_splits
    before = {split.label: split.k for split in resolve(plain, "named", named)}
    splits = resolve(graph, "named", named)
    assert [split.label for split in splits] == [*named]
    for split in splits:
        assert 4 * graph.cuts[split.k].nbytes == plain.cuts[before[split.label]].nbytes
        part1, part2 = extract(stored, split.k)
        with (
            PartSession(part1.path, part1.inputs, part1.outputs) as first,
            PartSession(part2.path, part2.inputs, part2.outputs) as last,
        ):
            found = last.run(first.run(given))
        for name, array in expected.items():
            np.testing.assert_array_equal(found[name], array)


def test_a_model_without_layers_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "relu.onnx"
    value = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])
    out = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1])
    node = onnx.helper.make_node("Relu", ["x"], ["y"])
    graph = onnx.helper.make_graph([node], "relu", [value], [out])
    onnx.save(onnx.helper.make_model(graph), file)
    with pytest.raises(UsageError, match="cannot quantise"):
        quantise(file, tmp_path / "out.onnx", [])
