"""Functions that a model brings along: nodes that stand for others, which may be such again."""

import math
from collections.abc import Iterable, Iterator
from graphlib import CycleError, TopologicalSorter

import onnx

_Name = tuple[str, str, str]


def expanded(model: onnx.ModelProto) -> float:
    """How many nodes a model has where each call is what its function does; inf without an end.

    Those of branches and loops are among them. Who infers shapes goes through every call: of forty
    functions that call the next one twice, of 2**40, which a file of 3 KB has.
    """
    bodies = {(one.domain, one.name, one.overload): [*_every(one.node)] for one in model.functions}
    calls = {name: {_called(node) for node in nodes} for name, nodes in bodies.items()}
    sizes: dict[_Name, float] = {}

    def size_of(nodes: Iterable[onnx.NodeProto]) -> float:
        return sum(sizes.get(_called(node), 1.0) for node in nodes)

    try:
        for name in TopologicalSorter(calls).static_order():
            if name in bodies:
                sizes[name] = size_of(bodies[name])
    except CycleError:
        return math.inf
    return size_of(_every(model.graph.node))


def _every(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.NodeProto]:
    """Them, and those of graphs that are attributes of them."""
    for node in nodes:
        yield node
        for attribute in node.attribute:
            for graph in (attribute.g, *attribute.graphs):
                yield from _every(graph.node)


def _called(node: onnx.NodeProto) -> _Name:
    return node.domain, node.op_type, node.overload
