"""What each UE had of a cell, and how even that was."""

import pytest

from orchestrator.results.statistics.by_ue import fairness


@pytest.mark.parametrize(
    ("values", "index"), [([5, 5, 5, 5], 1.0), ([8, 0, 0, 0], 0.25), ([1, 3], 0.8), ([0, 0], None)]
)
def test_fairness_is_jains_index(values: list[float], index: float | None) -> None:
    assert fairness(values) == (index if index is None else pytest.approx(index))
