"""Brings any valid ONNX graph into one normal form, so that layers can simply be counted.

In normal form every node is a layer with a name of its own, comes after what it reads and has a
part in some output; constants are weights; inputs are fed, never weights.
"""

import heapq
from collections.abc import MutableSequence, Sequence
from typing import TypeVar

import onnx

from splitbed.errors import UsageError
from splitbed.graphs.onnx.layers import constants

M = TypeVar("M", onnx.NodeProto, onnx.TensorProto, onnx.ValueInfoProto)

CONSTANT_TYPES = {
    "value_float": onnx.TensorProto.FLOAT,
    "value_floats": onnx.TensorProto.FLOAT,
    "value_int": onnx.TensorProto.INT64,
    "value_ints": onnx.TensorProto.INT64,
}


def normalise(model: onnx.ModelProto) -> None:
    """Bring ``model`` into normal form, in place.

    Raises UsageError for control flow, sparse weights, a graph without
    layers, and nodes that form a cycle or read what nothing produces.
    """
    graph = model.graph
    refuse_unsupported(model)
    _constants_to_weights(graph)
    # ONNX lets no output be named twice; some exporters do, and the runtime gives it twice
    _replace(graph.output, list({output.name: output for output in graph.output}.values()))
    weights = {tensor.name for tensor in graph.initializer}
    # Files before IR version 4 list their weights among the inputs, and must; later ones need not.
    model.ir_version = max(model.ir_version, 4)
    _replace(graph.input, [i for i in graph.input if i.name not in weights])
    _sort(graph)
    outputs_from_layers(graph)
    drop_unused(graph)
    graph.name = graph.name or "graph"  # runtimes take a graph without a name, the checker does not
    for field in ("value_info", "quantization_annotation", "metadata_props"):
        graph.ClearField(field)  # derived anew, or of no use to a part
    model.ClearField("training_info")


def refuse_unsupported(model: onnx.ModelProto) -> None:
    """Raise UsageError for control flow and sparse weights."""
    for index, node in enumerate(
        [*model.graph.node, *(n for f in model.functions for n in f.node)]
    ):
        if any(a.HasField("g") or a.graphs for a in node.attribute):
            raise UsageError(
                f"node {node.name or index!r} is control flow ({node.op_type}): which layers run "
                "is decided by the data, so the model is not one list of layers to cut: "
                "export it with the branch or the number of turns fixed"
            )
    if model.graph.sparse_initializer:
        name = model.graph.sparse_initializer[0].values.name
        raise UsageError(f"weight {name!r} is sparse; save it dense, parts are made of dense ones")


def _constants_to_weights(graph: onnx.GraphProto) -> None:
    kept = []
    for node in graph.node:
        weight = _constant(node)
        if weight is None:
            kept.append(node)
        else:
            weight.name = node.output[0]
            graph.initializer.append(weight)
    _replace(graph.node, kept)


def _constant(node: onnx.NodeProto) -> onnx.TensorProto | None:
    if node.op_type != "Constant" or node.domain not in ("", "ai.onnx") or len(node.attribute) != 1:
        return None
    attribute = node.attribute[0]
    if attribute.name == "value":
        return attribute.t
    if attribute.name not in CONSTANT_TYPES:
        return None  # strings and sparse tensors stay layers
    value = onnx.helper.get_attribute_value(attribute)
    dims = [len(value)] if attribute.name.endswith("s") else []
    values = value if dims else [value]
    return onnx.helper.make_tensor("", CONSTANT_TYPES[attribute.name], dims, values)


def outputs_from_layers(graph: onnx.GraphProto) -> None:
    """Let an Identity at the end produce each output that is made of weights alone."""
    made = constants(graph)
    read = {name for node in graph.node for name in node.input}
    for output in graph.output:
        renamed = f"{output.name}/weight"
        if output.name not in made or renamed in read:
            continue
        for tensor in graph.initializer:
            if tensor.name == output.name:
                tensor.name = renamed
        for node in graph.node:
            for names in (node.input, node.output):
                names[:] = [renamed if name == output.name else name for name in names]
        graph.node.append(onnx.helper.make_node("Identity", [renamed], [output.name]))


def _sort(graph: onnx.GraphProto) -> None:
    """Sort nodes topologically; a sorted graph keeps its order."""
    available = {"", *(i.name for i in graph.input), *(t.name for t in graph.initializer)}
    readers: dict[str, list[int]] = {}
    missing = []
    for index, node in enumerate(graph.node):
        needed = set(node.input) - available
        missing.append(needed)
        for name in needed:
            readers.setdefault(name, []).append(index)
    ready = [index for index, needed in enumerate(missing) if not needed]
    order = []
    while ready:
        index = heapq.heappop(ready)
        order.append(index)
        for name in graph.node[index].output:
            for reader in readers.pop(name, []):
                missing[reader].discard(name)
                if not missing[reader]:
                    heapq.heappush(ready, reader)
    stuck = sorted(set(range(len(missing))) - set(order))
    if stuck:
        node = graph.node[stuck[0]]
        raise UsageError(
            f"node {node.name or stuck[0]!r} ({node.op_type}) reads {sorted(missing[stuck[0]])}, "
            "which nothing before it produces"
        )
    _replace(graph.node, [graph.node[index] for index in order])
    produced = {name for node in graph.node for name in node.output}
    for output in graph.output:
        if output.name not in produced | available:
            raise UsageError(f"nothing produces the model's output {output.name!r}")


def drop_unused(graph: onnx.GraphProto) -> None:
    """Drop nodes, weights and inputs that no output depends on, as runtimes do; name the rest."""
    needed = {output.name for output in graph.output}
    kept = []
    for node in reversed(graph.node):
        if needed.intersection(node.output):
            kept.append(node)
            needed.update(name for name in node.input if name)
    _replace(graph.node, kept[::-1])
    _replace(graph.initializer, [t for t in graph.initializer if t.name in needed])
    _replace(graph.input, [i for i in graph.input if i.name in needed])
    if not kept:
        raise UsageError("the model has no layers between its inputs and outputs")
    _name(graph)


def _name(graph: onnx.GraphProto) -> None:
    taken = {""}
    for index, node in enumerate(graph.node):
        name = node.name or f"{node.op_type}_{index}"
        while name in taken:
            name += "_"
        node.name = name
        taken.add(name)


def _replace(field: MutableSequence[M], kept: Sequence[M]) -> None:
    if list(field) != kept:  # comparing is cheap beside copying weights
        del field[:]
        field.extend(kept)
