"""When a cell has been measured enough."""

import pytest

from orchestrator.measure.limits import is_stable


@pytest.mark.parametrize("e2e_ms", [[], [100], [100, 100]])
def test_fewer_than_three_frames_are_never_enough(e2e_ms: list[float]) -> None:
    assert not is_stable(e2e_ms)


def test_three_frames_within_5_per_cent_are_enough() -> None:
    assert is_stable([100, 102, 104.9])
    assert not is_stable([100, 102, 106])


def test_only_the_last_three_frames_count() -> None:
    assert is_stable([500, 100, 101, 102])
    assert not is_stable([100, 101, 102, 500])
