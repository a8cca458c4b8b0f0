"""How the edge is to share its work, as it is asked."""

import pytest

from orchestrator.ask.load.edge_work import EdgeWork, edge_work
from orchestrator.ask.sweep.config import sweep_config
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


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ({"edge_workers": 2}, "give them with --ues 4"),
        ({"batch": "max=8"}, "give them with --ues 4"),
        ({"edge_queue": 4, "ues": "4"}, "give it with --load"),
    ],
)
def test_where_frames_do_not_meet_there_is_nothing_to_share(
    asked: dict[str, object], why: str
) -> None:
    with pytest.raises(UsageError, match=why):
        sweep_config({"model": "shapesnet", **asked})


@pytest.mark.parametrize("frames", [{"ues": "2"}, {"load": "fps:30"}, {"in_flight": 2}])
def test_frames_of_several_ues_and_of_a_load_meet(frames: dict[str, object]) -> None:
    asked = {"model": "shapesnet", "batch": "max=8", "edge_workers": 2} | frames
    assert sweep_config(asked).edge_work == EdgeWork(2, 8, 5)
