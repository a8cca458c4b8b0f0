"""The order in which cells are measured."""

from itertools import groupby

import pytest

from orchestrator.ask.sweep.cell import Cell
from orchestrator.ask.sweep.config import sweep_config
from orchestrator.ask.sweep.grid import plan_cells
from orchestrator.ask.sweep.order import anchors_again, in_random_order
from orchestrator.testbed.model import load_model
from tests.node.loopback import small_model


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> list[Cell]:
    folder = tmp_path_factory.mktemp("model")
    file = str(small_model(folder / "small.onnx"))
    config = sweep_config({"model": file, "split": "all", "bw": "5,20,100", "codec": "raw,int8"})
    return plan_cells(config, load_model(config, folder))


def test_each_cell_is_measured_once_in_an_order_of_the_seed(cells: list[Cell]) -> None:
    (first,), (again,), (other,) = (in_random_order(cells, seed, room=7) for seed in (1, 1, 2))
    assert first == again
    assert first != other
    measured = [[visit.cell for visit in order] for order in (first, other)]
    assert cells not in measured
    assert len(first) == len(cells)
    assert set(measured[0]) == set(cells)


def test_each_block_measures_each_cell_once_in_an_order_of_its_own(cells: list[Cell]) -> None:
    one, both = (in_random_order(cells, 3, 7, blocks) for blocks in (1, 2))
    first, second = both
    assert [first] == one
    assert [{visit.block for visit in order} for order in both] == [{0}, {1}]
    orders = [[visit.cell for visit in order] for order in both]
    assert orders[0] != orders[1]
    assert set(orders[0]) == set(orders[1]) == set(cells)
    assert both == in_random_order(cells, 3, 7, 2) != in_random_order(cells, 4, 7, 2)
    assert len(second) == len(cells)


def test_the_anchors_are_visited_once_more_over_each_link_after_all_blocks(
    cells: list[Cell],
) -> None:
    again = anchors_again(cells, 2)
    assert {visit.block for visit in again} == {2}
    found = [(visit.cell.configuration.split, visit.cell.link.uplink.rate_mbit) for visit in again]
    assert sorted(found) == [(split, mbit) for split in ("0:6", "6:0") for mbit in (5, 20, 100)]


def test_no_split_stands_together_where_all_can_be_open(cells: list[Cell]) -> None:
    (order,) = in_random_order(cells, 0, room=7)
    splits = [k for k, _ in groupby(visit.cell.configuration.k for visit in order)]
    assert len(splits) > len(cells) / 2


@pytest.mark.parametrize(("room", "groups"), [(1, [1] * 7), (3, [3, 3, 1]), (6, [6, 1])])
def test_a_split_is_in_one_group_that_can_be_open(
    cells: list[Cell], room: int, groups: list[int]
) -> None:
    for seed in range(5):
        order = in_random_order(cells, seed, room)
        held = [{visit.cell.configuration.k for visit in group} for group in order]
        assert [len(one) for one in held] == groups
        assert len(set.union(*held)) == 7
        assert {visit.cell for group in order for visit in group} == set(cells)
