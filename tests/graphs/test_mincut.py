"""The minimum cut over a graph against every partition that there is."""

import random
from itertools import chain, combinations
from pathlib import Path

import pytest

from splitbed.graphs.formats import load_graph
from splitbed.graphs.mincut import Dag, Wire, cost_ms, dag_of, minimum_cut
from tests.graphs.models import model, node

DIAMOND = Dag(
    5,
    (
        Wire("input", 100, None, (0,)),
        Wire("a", 10, 0, (1, 2)),
        Wire("b", 40, 1, (3,)),
        Wire("c", 40, 2, (3,)),
        Wire("d", 10, 3, (4,)),
    ),
)


def partitions(dag: Dag) -> list[frozenset[int]]:
    """All that need nothing of the edge on the UE."""
    units = range(dag.n)
    every = chain.from_iterable(combinations(units, size) for size in range(dag.n + 1))
    needs = [(reader, wire.producer) for wire in dag.wires for reader in wire.readers]
    return [
        frozenset(ue)
        for ue in every
        if all(maker is None or maker in ue or reader not in ue for reader, maker in needs)
    ]


def random_dag(dice: random.Random) -> Dag:
    n = dice.randint(2, 8)
    wires = [Wire("input", dice.randint(1, 1000), None, tuple(dice.sample(range(n), 2)))]
    for unit in range(n - 1):
        later = range(unit + 1, n)
        for output in range(dice.randint(1, 2)):
            readers = dice.sample(later, dice.randint(1, len(later)))
            wires.append(Wire(f"{unit}.{output}", dice.randint(0, 1000), unit, tuple(readers)))
    return Dag(n, tuple(wires))


@pytest.mark.parametrize("seed", range(60))
def test_no_partition_of_a_random_graph_takes_less(seed: int) -> None:
    dice = random.Random(seed)
    dag = random_dag(dice)
    ue_ms, edge_ms = ([dice.random() * most for _ in range(dag.n)] for most in (10, 5))
    ms_per_byte = dice.choice([0.0001, 0.001, 0.01])
    found = minimum_cut(dag, ue_ms, edge_ms, ms_per_byte)
    least = min(cost_ms(dag, ue, ue_ms, edge_ms, ms_per_byte) for ue in partitions(dag))
    assert found.ue in partitions(dag)
    assert found.ms == pytest.approx(least, abs=1e-5)


def test_a_tensor_that_two_layers_read_is_sent_once() -> None:
    found = minimum_cut(DIAMOND, [1, 50, 50, 50, 50], [9, 1, 1, 1, 1], 1)
    assert found.ue == {0}
    assert found.ms == 1 + 4 + 10


def test_a_branch_alone_may_stay_on_the_ue() -> None:
    wires = (
        Wire("input", 100, None, (0, 1)),
        Wire("big", 100, 0, (2,)),
        Wire("small", 1, 1, (2,)),
        Wire("result", 1, 2, (3,)),
    )
    found = minimum_cut(Dag(4, wires), [500, 1, 500, 500], [1, 80, 1, 1], 1)
    assert found.ue == {1}  # the input and `small` are sent
    assert found.k is None  # which no cut in the order of the layers does


def test_nothing_is_cut_where_the_link_is_slow() -> None:
    found = minimum_cut(DIAMOND, [1] * 5, [0.1] * 5, 1000)
    assert (found.k, found.ms) == (5, 5)


def test_everything_goes_to_the_edge_where_the_link_is_fast() -> None:
    found = minimum_cut(DIAMOND, [1] * 5, [0.1] * 5, 0.0001)
    assert found.k == 0
    assert found.ms == pytest.approx(0.5 + 0.01)


def test_a_graph_crosses_at_its_cuts_what_they_say(tmp_path: Path) -> None:
    nodes = [
        node("Relu", "x", "a"),
        node("Relu", "a", "b"),
        node("Neg", "a", "c"),
        node("Add", "b c", "y"),
    ]
    (file := tmp_path / "m.onnx").write_bytes(
        model(nodes, {"x": [1, 4]}, {"y": [1, 4]}).SerializeToString()
    )
    graph = load_graph(file)
    dag = dag_of(graph, range(graph.n + 1))
    for k in range(graph.n):
        crossing = dag.crossing(frozenset(range(k)))
        assert {wire.name for wire in crossing} == {info.name for info in graph.cuts[k].tensors}
        assert sum(wire.nbytes for wire in crossing) == graph.cuts[k].nbytes
