"""The order in which weights are refined, of what making them coarse does to outputs."""

from pathlib import Path

import pytest

from orchestrator.ask.sweep.config import sweep_config
from orchestrator.testbed.local import local_model
from orchestrator.transit.anchor import AnchorScenario
from orchestrator.transit.increments.sensitivity import grouped, groups_by_need
from splitbed.model_coders.increments import at, weights_of
from splitbed.model_data import read_model, write_model
from tests.node.loopback import small_model


@pytest.mark.parametrize(
    ("count", "groups"),
    [
        (1, [[2, 0, 1]]),
        (2, [[2], [0, 1]]),
        (9, [[2], [0], [1]]),
    ],
)
def test_groups_keep_the_order_and_have_about_as_many_values(
    count: int, groups: list[list[int]]
) -> None:
    assert grouped([2, 0, 1], [30, 20, 50], count) == groups


@pytest.mark.parametrize(("exact", "order"), [("w1", [[1], [0]]), ("w2", [[0], [1]])])
def test_what_is_as_good_coarse_comes_last(
    exact: str, order: list[list[int]], tmp_path: Path
) -> None:
    small = read_model(small_model(file := tmp_path / "small.onnx"))
    coarse = at(small, 4, 4).state[exact]
    write_model(small.replaced({**small.state, exact: coarse}), file)
    with local_model(sweep_config({"model": str(file)})) as local:
        scenario = AnchorScenario(local, sweep_config({"model": str(file)}))
        whole = read_model(scenario.path)
        assert weights_of(whole, 4) == ["w1", "w2"]
        assert groups_by_need(scenario, whole, (4, 16), 2, tmp_path) == order
        assert groups_by_need(scenario, whole, (4, 16), 1, tmp_path) == [[*order[0], *order[1]]]
    assert [*tmp_path.iterdir()] == [file]
