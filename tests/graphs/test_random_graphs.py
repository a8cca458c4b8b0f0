"""Any graph, cut anywhere: hypothesis looks for one whose parts are not the whole."""

from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import numpy as np
import onnx
from hypothesis import given, settings
from hypothesis import strategies as st

from splitbed.graphs.graph import Described, Layer, find_cuts
from splitbed.graphs.onnx.graph import load_graph
from splitbed.graphs.parts import extract, store, write_portable
from splitbed.tensors import TensorInfo
from tests.graphs import models
from tests.hostile.length import LONG

DIMS = [1, 8, 4, 4]
GRAPHS = 300 if LONG else 20
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


@settings(max_examples=GRAPHS, deadline=None)
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


@settings(max_examples=GRAPHS, deadline=None)
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


@st.composite
def wired(draw: st.DrawFn) -> tuple[tuple[Layer, ...], list[str], list[str]]:
    """Layers that read and write at random, and the names of the graph's inputs and outputs."""
    inputs = [f"x{i}" for i in range(draw(st.integers(1, 3)))]
    layers: list[Layer] = []
    known = list(inputs)
    for index in range(draw(st.integers(1, 12))):
        read = draw(st.lists(st.sampled_from([*known, "w0", "w1"]), max_size=3))
        written = [f"t{index}.{i}" for i in range(draw(st.integers(1, 2)))]
        macs = draw(st.integers(0, 9))
        layers.append(Layer(index, f"n{index}", "Op", tuple(read), tuple(written), macs))
        known += written
    outputs = draw(st.lists(st.sampled_from(known), min_size=1, max_size=3, unique=True))
    return tuple(layers), inputs, outputs


@given(wired(), st.randoms(use_true_random=False))
def test_cuts_of_any_graph_are_what_their_definition_says(
    graph: tuple[tuple[Layer, ...], list[str], list[str]], dice: Random
) -> None:
    layers, inputs, outputs = graph
    n, params = len(layers), {"w0": 5, "w1": 7, "unused": 11}
    made = [*inputs, *(name for layer in layers for name in layer.outputs)]
    tensors: dict[str, Described] = {
        name: f"{name} is open" if dice.random() < 0.1 else TensorInfo(name, "FP32", (rank + 1,))
        for rank, name in enumerate(made)
    }
    for k, cut in enumerate(find_cuts(layers, inputs, outputs, tensors, params)):
        before, after = layers[:k], layers[k:]
        there = [*inputs, *(name for layer in before for name in layer.outputs)]
        later = {name for layer in after for name in layer.inputs} | set(outputs)
        frontier = [tensors[name] for name in there if name in later]
        crossing = tuple(t for t in frontier if isinstance(t, TensorInfo))
        obstacle = "; ".join(t for t in frontier if isinstance(t, str))
        used = [{name for layer in side for name in layer.inputs} for side in (before, after)]
        assert (cut.k, cut.name) == (k, f"{k}:{n - k}")
        assert list(cut.crossing) == frontier
        assert (cut.tensors, cut.count) == (crossing, len(crossing))
        assert cut.nbytes == sum(tensor.nbytes for tensor in crossing)
        assert (cut.obstacle, cut.crossable) == (obstacle, not obstacle)
        for side, names, ours, macs in (
            (before, used[0], cut.ue_params, cut.ue_macs),
            (after, used[1], cut.edge_params, cut.edge_macs),
        ):
            assert ours == sum(params[name] for name in names & params.keys())
            assert macs == sum(layer.macs for layer in side)
