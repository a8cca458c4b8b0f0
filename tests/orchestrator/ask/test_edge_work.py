"""How the edge is to share its work, as it is asked."""

import pytest

from orchestrator.ask.edge_work import EdgeWork, edge_work
from splitbed.errors import UsageError


@pytest.mark.parametrize(
    ("batch", "most", "wait_ms"),
    [
        ("max=8,wait=5ms", 8, 5),
        ("max=2", 2, 5),
        ("max=256, wait=0ms", 256, 0),
        ("max=4,wait=0.25s", 4, 250),
    ],
)
def test_a_batch_has_a_size_and_a_wait(batch: str, most: int, wait_ms: float) -> None:
    assert edge_work(2, batch, 3) == EdgeWork(2, most, wait_ms, 3)


def test_without_a_batch_frames_are_run_alone() -> None:
    assert edge_work(1, None, None) == EdgeWork()


@pytest.mark.parametrize(
    "batch",
    ["", "8", "max=1", "max=257", "max=-2", "wait=5ms", "max=8,wait=5", "max=8,wait=2s", "max=8,"],
)
def test_a_batch_that_cannot_be_is_refused_with_one_that_can(batch: str) -> None:
    with pytest.raises(UsageError, match="give max=8,wait=5ms"):
        edge_work(1, batch, None)
