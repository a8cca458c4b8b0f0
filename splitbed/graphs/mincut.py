"""The cheapest cut of a graph that need not follow the order of its layers: a minimum s-t cut.

    UE ──edge ms──> layer ──UE ms──> edge       cutting one of the two puts the layer elsewhere
    layer ──sending ms──> tensor ──inf──> each layer that reads it
    reader ──inf──> layer                       nothing that the edge made goes back to the UE

The auxiliary node of a tensor has it sent once, however many layers on the edge read it. Source:
Hu et al., Dynamic Adaptive DNN Surgery (DADS), INFOCOM 2019.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from splitbed.graphs.graph import Graph

_FLOW = 2**28
"""What all costs are scaled to, as the solver counts in 32 bits."""


@dataclass(frozen=True)
class Wire:
    """A tensor that may cross: what makes it (None: it is fed, on the UE) and what reads it."""

    name: str
    nbytes: int
    producer: int | None
    readers: tuple[int, ...]

    def crosses(self, ue: frozenset[int]) -> bool:
        """Whether it is sent when the units `ue` run on the UE."""
        made = self.producer is None or self.producer in ue
        return made and any(reader not in ue for reader in self.readers)


@dataclass(frozen=True)
class Dag:
    """``n`` units in topological order, and what goes from one to another.

    A unit is a layer, or a few between which nothing may cross; the last one is the result, which
    reads the graph's outputs.
    """

    n: int
    wires: tuple[Wire, ...]

    @property
    def backs(self) -> frozenset[tuple[int, int]]:
        """Each reader with each unit that it needs."""
        made = (wire for wire in self.wires if wire.producer is not None)
        return frozenset((reader, wire.producer or 0) for wire in made for reader in wire.readers)

    def crossing(self, ue: frozenset[int]) -> tuple[Wire, ...]:
        """The tensors that are sent when the units `ue` run on the UE."""
        return tuple(wire for wire in self.wires if wire.crosses(ue))


@dataclass(frozen=True)
class Partition:
    """The units that run on the UE, and what it all takes."""

    ue: frozenset[int]
    ms: float

    @property
    def k(self) -> int | None:
        """How many, where they are the first in the order of the layers: a cut k:n-k; else None."""
        return len(self.ue) if self.ue == frozenset(range(len(self.ue))) else None


def dag_of(graph: Graph, places: Sequence[int]) -> Dag:
    """The graph between the cuts at `places` (rising, 0 and n among them), and its result."""
    unit_of = {
        layer.index: unit
        for unit, (first, last) in enumerate(pairwise(places))
        for layer in graph.layers[first:last]
    }
    sizes = {info.name: info.nbytes for k in places for info in graph.cuts[k].tensors}
    makers = {name: layer.index for layer in graph.layers for name in layer.outputs}
    readers: dict[str, dict[int, None]] = {name: {} for name in sizes}
    for layer in graph.layers:
        unit = unit_of[layer.index]
        for name in layer.inputs:
            if name in readers and (name not in makers or unit_of[makers[name]] != unit):
                readers[name][unit] = None
    n = len(places)
    for output in graph.outputs:
        readers.setdefault(output.name, {})[n - 1] = None
    wires = [
        Wire(name, sizes[name], unit_of[makers[name]] if name in makers else None, tuple(held))
        for name, held in readers.items()
        if name in sizes
    ]
    return Dag(n, tuple(wires))


def cost_ms(
    dag: Dag,
    ue: frozenset[int],
    ue_ms: Sequence[float],
    edge_ms: Sequence[float],
    ms_per_byte: float,
) -> float:
    """What all units take, those of `ue` on the UE, with what crosses."""
    on_nodes = sum(ue_ms[unit] if unit in ue else edge_ms[unit] for unit in range(dag.n))
    return on_nodes + ms_per_byte * sum(wire.nbytes for wire in dag.crossing(ue))


def minimum_cut(
    dag: Dag, ue_ms: Sequence[float], edge_ms: Sequence[float], ms_per_byte: float
) -> Partition:
    """The partition that takes least; times are those of each unit on either node, none negative.

    What runs on the UE needs nothing that the edge made.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import breadth_first_order, maximum_flow

    # all on one side is a cut: nothing dearer is ever cut, which keeps the numbers small
    everything, nothing = frozenset(range(dag.n)), frozenset[int]()
    most = min(cost_ms(dag, side, ue_ms, edge_ms, ms_per_byte) for side in (everything, nothing))
    if most <= 0:
        return Partition(everything, 0.0)
    source, sink, first_wire = dag.n, dag.n + 1, dag.n + 2
    arcs = [(source, unit, edge_ms[unit]) for unit in range(dag.n)]
    arcs += [(unit, sink, ue_ms[unit]) for unit in range(dag.n)]
    for node, wire in enumerate(dag.wires, first_wire):
        made_by = source if wire.producer is None else wire.producer
        arcs.append((made_by, node, wire.nbytes * ms_per_byte))
        arcs += [(node, reader, 2 * most) for reader in wire.readers]
    arcs += [(*back, 2 * most) for back in dag.backs]
    tails, heads, costs = (np.array(column) for column in zip(*arcs, strict=True))
    scaled = np.rint(np.minimum(costs, 2 * most) / most * _FLOW).astype(np.int32)
    size = first_wire + len(dag.wires)
    capacity = coo_array((scaled, (tails, heads)), shape=(size, size)).tocsr()
    left = capacity - maximum_flow(capacity, source, sink).flow
    left.eliminate_zeros()
    reached = breadth_first_order(left, source, return_predecessors=False)
    ue = frozenset(int(unit) for unit in reached if unit < dag.n)
    return Partition(ue, cost_ms(dag, ue, ue_ms, edge_ms, ms_per_byte))
