"""The queue at a source, by a clock that the test owns."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitbed.node.source.queue import SourceQueue


def served(queue: SourceQueue, service: int, carriers: int = 1) -> tuple[list[int], list[int]]:
    """The frames that begin, in order, where each takes so long; and those that go."""
    begun, gone = [], []
    free_at = [0] * carriers
    while not queue.ended:
        now = min(free_at)
        queue.free(now)
        while (due := queue.take(now)) is None and queue.next_ns is not None:
            now = queue.next_ns
        gone += [one.place for one, _ in queue.dropped(now)]
        if due is None:
            break
        begun.append(due.place)
        free_at[free_at.index(min(free_at))] = max(now, due.due_ns) + service
    return begun, gone


@pytest.mark.parametrize(
    ("drop", "begun"),
    [("none", [0, 1, 2, 3, 4]), ("oldest", [0, 2, 4]), ("newest", [0, 1, 3])],
)
def test_who_is_late_goes_as_it_is_asked(drop: str, begun: Sequence[int]) -> None:
    # due at 0, 10, … 40, each takes 25, one may wait
    queue = SourceQueue([0, 10, 20, 30, 40], 1, drop)
    assert served(queue, 25) == (list(begun), [one for one in range(5) if one not in begun])


def test_it_goes_when_another_takes_its_place() -> None:
    queue = SourceQueue([0, 10, 20], 1, "oldest")
    queue.free(0)
    assert queue.take(0) is not None
    assert queue.dropped(15) == []
    ((gone, at_ns),) = queue.dropped(20)
    assert (gone.place, gone.due_ns, at_ns) == (1, 10, 20)


def test_of_frames_that_come_at_once_all_begin_while_somebody_is_free() -> None:
    queue = SourceQueue([5] * 4, 1, "newest")
    for _ in range(3):
        queue.free(0)
    assert [one.place for _ in range(3) if (one := queue.take(5))] == [0, 1, 2]
    assert queue.dropped(5) == []
    assert not queue.ended  # one waits


def test_nobody_begins_a_frame_before_it_is_due() -> None:
    queue = SourceQueue([100], 1)
    queue.free(0)
    assert queue.take(99) is None
    assert queue.next_ns == 100
    assert queue.take(100) is not None
    assert queue.ended


def test_without_times_each_is_due_when_it_is_taken() -> None:
    queue = SourceQueue([], frames=2)
    for now_ns in (7, 9):
        queue.free(now_ns)
        assert (one := queue.take(now_ns)) is not None
        assert one.due_ns == now_ns
    assert queue.ended


@given(
    gaps=st.lists(st.integers(0, 50), min_size=1, max_size=40),
    drop=st.sampled_from(["none", "oldest", "newest"]),
    most=st.integers(1, 4),
    carriers=st.integers(1, 3),
    service=st.integers(1, 120),
)
def test_every_frame_begins_or_goes_and_those_that_begin_keep_their_order(
    gaps: list[int], drop: str, most: int, carriers: int, service: int
) -> None:
    due = [sum(gaps[: place + 1]) for place in range(len(gaps))]
    begun, gone = served(SourceQueue(due, most, drop), service, carriers)
    assert sorted(begun + gone) == list(range(len(due)))
    assert begun == sorted(begun)
    assert drop != "none" or not gone


def test_one_that_comes_alone_is_had_before_it_is_due_by_who_is_free() -> None:
    queue = SourceQueue([100, 200, 200], 1, "oldest")
    for _ in range(2):
        queue.free(0)
    early = queue.take_early(98)
    assert early is not None
    assert (early.place, early.due_ns) == (0, 100)
    assert queue.take(100) is None
    # of those that come at once, which begin is told when they are there; and of one that is late
    assert queue.take_early(198) is None
    assert queue.take_early(201) is None
    assert queue.take(201) is not None


def test_none_is_had_early_while_another_waits() -> None:
    queue = SourceQueue([10, 20, 100], 5)
    queue.free(0)
    assert queue.take(20) is not None
    queue.free(21)
    assert queue.take_early(90) is None
