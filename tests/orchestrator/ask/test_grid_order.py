"""The order in which cells are measured."""

from itertools import groupby

import pytest

from orchestrator.ask.grid import Cell, in_random_order, plan_cells
from orchestrator.ask.sweep_config import sweep_config
from orchestrator.testbed.model import load_model
from tests.node.loopback import small_model


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> list[Cell]:
    folder = tmp_path_factory.mktemp("model")
    file = str(small_model(folder / "small.onnx"))
    config = sweep_config({"model": file, "split": "all", "bw": "5,20,100", "codec": "raw,int8"})
    return plan_cells(config, load_model(config, folder))


def test_each_cell_is_measured_once_in_an_order_of_the_seed(cells: list[Cell]) -> None:
    first, again, other = (in_random_order(cells, seed) for seed in (1, 1, 2))
    assert first == again
    assert first != other
    assert cells not in (first, other)
    assert len(set(first)) == len(cells)
    assert set(first) == set(cells)


def test_a_split_is_loaded_once_whatever_the_order(cells: list[Cell]) -> None:
    for seed in range(5):
        order = in_random_order(cells, seed)
        loaded = [k for k, _ in groupby(cell.configuration.k for cell in order)]
        assert len(loaded) == len(set(loaded)) == 7
