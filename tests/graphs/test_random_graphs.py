"""Any graph, cut anywhere: hypothesis looks for one whose parts are not the whole."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
from hypothesis import given, settings
from hypothesis import strategies as st

from splitbed.graphs.onnx.graph import load_graph
from splitbed.graphs.parts import extract, store, write_portable
from tests.graphs import models

DIMS = [1, 8, 4, 4]
OPS = ["Relu", "Neg", "Add", "Sub", "Max", "Conv", "Split", "Constant"]


def sparse(seed: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """A 3x3 convolution that adds two of its inputs, so that twelve of them stay exact."""
    rng = np.random.default_rng(seed)
    weight = np.zeros((8, 8, 3, 3), np.float32)
    for channel in weight:
        for _ in range(2):
            channel[rng.integers(8), rng.integers(3), rng.integers(3)] = rng.choice([-1, 1])
    return weight


@st.composite
def graphs(draw: st.DrawFn) -> onnx.ModelProto:
    inputs = [f"x{i}" for i in range(draw(st.integers(1, 3)))]
    tensors, nodes = list(inputs), []
    for index in range(draw(st.integers(1, 9))):
        op, out = draw(st.sampled_from(OPS)), f"t{index}"
        one, other = draw(st.sampled_from(tensors)), draw(st.sampled_from(tensors))
        if op == "Conv":
            nodes.append(models.conv(one, out, draw(st.sampled_from(["w0", "w1", "w2"]))))
        elif op == "Split":
            nodes.append(models.node("Split", one, f"{out}a {out}b", axis=1))
            nodes.append(models.node("Concat", f"{out}b {out}a", out, axis=1))
        elif op == "Constant":
            value = onnx.numpy_helper.from_array(models.whole(index, *DIMS))
            nodes.append(models.node("Constant", "", out, value=value))
        else:
            arity = 1 if op in ("Relu", "Neg") else 2
            nodes.append(models.node(op, " ".join([one, other][:arity]), out))
        tensors.append(out)
    computed = tensors[len(inputs) :]
    outputs = draw(st.lists(st.sampled_from(tensors), min_size=1, max_size=3, unique=True))
    last = models.node("Sum", " ".join(computed[-2:]), "y")  # at least one layer
    dims = dict.fromkeys
    weights = {f"w{i}": sparse(i) for i in range(3)}
    return models.model([*nodes, last], dims(inputs, DIMS), dims(["y", *outputs], DIMS), weights)


@settings(max_examples=60, deadline=None)
@given(graphs())
def test_parts_of_any_graph_give_the_bits_of_the_whole(proto: onnx.ModelProto) -> None:
    with TemporaryDirectory() as folder:
        graph = load_graph(models.save(proto, Path(folder, "model.onnx")))
        stored = store(graph, Path(folder, "stored"))
        tensors = models.sample(graph.inputs)
        expected = models.run_whole(proto, graph, tensors)
        for k in range(graph.n + 1):
            result = models.run_split(stored, k, tensors)
            for name, value in expected.items():
                np.testing.assert_array_equal(result[name], value, f"{name} at cut {k}")


@settings(max_examples=60, deadline=None)
@given(graphs())
def test_no_part_of_any_graph_holds_a_weight_it_does_not_use(proto: onnx.ModelProto) -> None:
    with TemporaryDirectory() as folder:
        graph = load_graph(models.save(proto, Path(folder, "model.onnx")))
        stored = store(graph, Path(folder, "stored"))
        portable = Path(folder, "portable.onnx")
        for part in [part for k in range(graph.n + 1) for part in extract(stored, k)]:
            if part.path:
                write_portable(part, portable)
                held = onnx.load(portable).graph
                read = {name for node in held.node for name in node.input}
                assert {tensor.name for tensor in held.initializer} <= read
