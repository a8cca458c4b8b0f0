"""Which nodes are layers: what is made of weights alone never crosses a cut, nor do halves of one.

made of weights     no layer: every part that reads it makes it again
DequantizeLinear    no layer: every part that reads it dequantises again, so integers cross
QuantizeLinear      joins the layer that it rounds, so that the runtime can compute both in integers
the same ``layer``  in the metadata of nodes in a row: one layer, as where formats fuse operators
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import onnx
from onnx.numpy_helper import to_array

LAYER_KEY = "layer"
DRAWING_OPS = {
    "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike",
    "Multinomial", "Bernoulli",
}  # fmt: skip
"""Operators that draw random numbers, beside Dropout in training."""
ROUNDED_OPS = {"Relu", "Clip"}
"""Operators that a runtime drops where what they give is quantised at once."""


@dataclass(frozen=True)
class Grouping:
    """The nodes of each layer; and for each tensor that is made in no layer, what it is made of."""

    layers: tuple[tuple[onnx.NodeProto, ...], ...]
    made_of: Mapping[str, tuple[str, ...]]

    def sources(self, name: str) -> tuple[str, ...]:
        """What a layer that reads the tensor ``name`` reads in truth: itself as a rule."""
        return self.made_of.get(name, (name,))


def group(graph: onnx.GraphProto) -> Grouping:
    """The layers of ``graph``, which is in normal form."""
    weights, outputs = constants(graph), {output.name for output in graph.output}
    made_of: dict[str, tuple[str, ...]] = {}
    dequantised: set[str] = set()
    kept = []
    for node in graph.node:
        if outputs.isdisjoint(node.output) and (
            weights.issuperset(node.output) or _rescales(node, "DequantizeLinear", weights)
        ):
            read = {s: None for name in node.input if name for s in made_of.get(name, (name,))}
            made_of |= dict.fromkeys(node.output, tuple(read))
            dequantised.update(set(node.output) - weights)
        else:
            kept.append(node)
    groups = _in_rows(kept)
    _join_quantised(groups, weights, dequantised, outputs)
    return Grouping(tuple(tuple(nodes) for nodes in groups if nodes), made_of)


def constants(graph: onnx.GraphProto) -> set[str]:
    """The weights of ``graph``, and all that is made of weights alone."""
    found = {"", *(tensor.name for tensor in graph.initializer)}
    for node in graph.node:
        source = node.input or node.op_type == "Constant"
        if source and found.issuperset(node.input) and not draws(node):
            found.update(node.output)
    return found


def draws(node: onnx.NodeProto) -> bool:
    """Whether two runs of ``node`` differ, as random numbers are drawn."""
    if node.op_type == "Dropout" and len(node.input) > 2 and node.input[2]:
        return True  # whether it trains is an input
    return node.op_type in DRAWING_OPS and node.domain in ("", "ai.onnx")


def drawing(graph: onnx.GraphProto) -> tuple[str, ...]:
    """The nodes of ``graph`` that draw random numbers, by name."""
    off = {t.name for t in graph.initializer if _is_false(t)}
    return tuple(
        node.name
        for node in graph.node
        if draws(node) and not (node.op_type == "Dropout" and node.input[2] in off)
    )


def _is_false(tensor: onnx.TensorProto) -> bool:
    return tensor.data_type == onnx.TensorProto.BOOL and not to_array(tensor).any()


def _rescales(node: onnx.NodeProto, op_type: str, weights: set[str]) -> bool:
    """Whether ``node`` is of ``op_type``, with a scale and a zero point that are weights."""
    return node.op_type == op_type and weights.issuperset(node.input[1:])


def _in_rows(nodes: Iterable[onnx.NodeProto]) -> list[list[onnx.NodeProto]]:
    groups: list[list[onnx.NodeProto]] = []
    before = ""
    for node in nodes:
        layer = layer_of(node)
        if layer and layer == before:
            groups[-1].append(node)
        else:
            groups.append([node])
        before = layer
    return groups


def layer_of(node: onnx.NodeProto) -> str:
    """The layer that ``node`` says it belongs to; empty where it says nothing."""
    return next((entry.value for entry in node.metadata_props if entry.key == LAYER_KEY), "")


def _join_quantised(
    groups: list[list[onnx.NodeProto]],
    weights: set[str],
    dequantised: set[str],
    outputs: set[str],
) -> None:
    """Move each QuantizeLinear into the layer before it, where that computes on dequantised data.

    Between the two, what the runtime would compute in integers crosses in floating point.
    """
    readers = Counter(name for nodes in groups for node in nodes for name in node.input)
    maker = {name: place for place, nodes in enumerate(groups) for n in nodes for name in n.output}

    def before(name: str) -> int | None:
        """The layer whose only use is to make the tensor ``name``."""
        alone = readers[name] == 1 and name not in outputs
        return maker.get(name) if alone else None

    for place, nodes in enumerate(groups):
        if len(nodes) != 1 or not _rescales(nodes[0], "QuantizeLinear", weights):
            continue
        row, first = [place], before(nodes[0].input[0])
        while first is not None:
            row.append(first)
            read = groups[first][0].input
            if not dequantised.isdisjoint(name for n in groups[first] for name in n.input):
                groups[row[-1]] = [node for joined in reversed(row) for node in groups[joined]]
                for joined in row[:-1]:
                    maker |= {name: first for n in groups[joined] for name in n.output}
                    groups[joined] = []
                break
            first = before(read[0]) if groups[first][-1].op_type in ROUNDED_OPS else None
