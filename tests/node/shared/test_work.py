"""Work that is shared by threads, each a UE's frame; the part is one that the tests let go on."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context

import numpy as np
import pytest

from splitbed.errors import NodeError
from splitbed.node.shared.line import Sharing
from splitbed.node.shared.work import Ran, Work
from splitbed.tensors import Tensors
from splitbed.workers.wanted import WANTED
from tests.shared_machine import until

SOON_S = 10.0
FOUR = Sharing(most=4, wait_ns=10_000_000_000)


class Part:
    """Doubles what it gets, once it is let; refuses frames with a negative number in them."""

    def __init__(self) -> None:
        self.let = threading.Event()
        self.let.set()
        self.ran: list[list[float]] = []
        self.wanted: list[bool] = []
        self.fault: Exception | None = None
        self.at_once = self.most_at_once = 0

    def run(self, tensors: Tensors) -> Tensors:
        return self.run_together([tensors])[0]

    def run_together(self, frames: Sequence[Tensors]) -> Sequence[Tensors]:
        numbers = [float(one["x"][0]) for one in frames]
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            self.ran.append(numbers)
            self.wanted.append(WANTED.get()())
            assert self.let.wait(SOON_S)
        finally:
            self.at_once -= 1
        if self.fault is not None:
            raise self.fault
        if min(numbers) < 0:
            raise NodeError("it does not take negative numbers")
        return [{"x": one["x"] * 2} for one in frames]


class Ues:
    """Frames that are brought to the work at once."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self.pool, self.work, self.part = pool, Work(), Part()

    def bring(
        self, ue: str, number: float, sharing: Sharing, wanted: Callable[[], bool] = lambda: True
    ) -> "Future[Ran]":
        """A frame of that number, and not before it waits."""
        before = self.waiting
        context = copy_context()
        context.run(WANTED.set, wanted)
        tensors: Tensors = {"x": np.array([number])}
        ran = self.pool.submit(context.run, self.work.run, ue, self.part, tensors, sharing)
        until(lambda: self.waiting > before or bool(self.part.ran) or ran.done())
        return ran

    @property
    def waiting(self) -> int:
        return sum(map(len, [*self.work._line._lines.values()]))


@pytest.fixture
def ues() -> Iterator[Ues]:
    with ThreadPoolExecutor(64) as pool:
        yield (ues := Ues(pool))
        ues.part.let.set()


def of(ran: "Future[Ran]") -> float:
    return float(ran.result(SOON_S).tensors["x"][0])


def test_a_frame_that_meets_nobody_is_run_alone_and_says_when(ues: Ues) -> None:
    ran = ues.bring("a", 1, Sharing()).result(SOON_S)
    assert ran.tensors["x"] == [2]
    assert ran.together == 1
    assert ran.start_ns <= ran.end_ns


def test_one_worker_runs_one_at_a_time_and_gives_each_its_own(ues: Ues) -> None:
    every = [ues.bring(f"ue-{number % 4}", number, Sharing()) for number in range(40)]
    assert [of(ran) for ran in every] == [2 * number for number in range(40)]
    assert ues.part.most_at_once == 1


def test_two_workers_run_two_at_a_time(ues: Ues) -> None:
    ues.part.let.clear()
    every = [ues.bring("a", number, Sharing(workers=2)) for number in range(4)]
    until(lambda: ues.part.at_once == 2)
    ues.part.let.set()
    assert [of(ran) for ran in every] == [0, 2, 4, 6]
    assert ues.part.most_at_once == 2


def test_frames_of_several_ues_are_run_together_and_each_gets_its_own(ues: Ues) -> None:
    every = [ues.bring(ue, number, FOUR) for number, ue in enumerate("aabc")]
    assert [of(ran) for ran in every] == [0, 2, 4, 6]
    assert ues.part.ran == [[0, 2, 3, 1]]
    assert {ran.result().together for ran in every} == {4}
    assert len({(ran.result().start_ns, ran.result().end_ns) for ran in every}) == 1


def test_the_first_does_not_wait_for_ever_for_others(ues: Ues) -> None:
    soon = Sharing(most=4, wait_ns=1_000_000)
    assert of(ues.bring("a", 1, soon)) == 2
    assert ues.part.ran == [[1]]


def test_of_frames_that_fail_together_only_the_one_that_fails_alone_is_refused(ues: Ues) -> None:
    every = [
        ues.bring(ue, number, FOUR) for ue, number in (("a", 1), ("b", -1), ("c", 3), ("d", 4))
    ]
    for ran, expected in zip(every, (2, None, 6, 8), strict=True):
        if expected is None:
            with pytest.raises(NodeError, match="negative"):
                ran.result(SOON_S)
        else:
            assert of(ran) == expected
            assert ran.result().together == 1
    assert of(ues.bring("a", 5, Sharing())) == 10


def test_a_frame_that_is_given_up_leaves_those_that_wait(ues: Ues) -> None:
    given_up = threading.Event()
    gone = ues.bring("a", 1, FOUR, wanted=lambda: not given_up.is_set())
    given_up.set()
    with pytest.raises(NodeError, match="given up"):
        gone.result(SOON_S)
    every = [ues.bring(ue, number, FOUR) for number, ue in enumerate("abcd", 2)]
    assert [of(ran) for ran in every] == [4, 6, 8, 10]


@pytest.mark.parametrize("which", [0, 2])
def test_a_frame_that_is_given_up_while_it_is_run_ends_no_other(ues: Ues, which: int) -> None:
    given_up = threading.Event()
    ues.part.let.clear()
    wanted = [lambda: True] * 4
    wanted[which] = lambda: not given_up.is_set()
    every = [ues.bring(f"ue{place}", place, FOUR, one) for place, one in enumerate(wanted)]
    until(lambda: bool(ues.part.ran))
    given_up.set()
    ues.part.let.set()
    del every[which]
    assert [of(ran) for ran in every] == [2 * place for place in range(4) if place != which]


def test_who_runs_for_others_goes_on_when_his_own_frame_is_given_up(ues: Ues) -> None:
    two = Sharing(most=2, wait_ns=FOUR.wait_ns)
    first = ues.bring("a", 1, two, lambda: not ues.part.ran)
    assert of(ues.bring("b", 2, two)) == 4
    assert ues.part.wanted == [True]
    with suppress(NodeError):
        first.result(SOON_S)


def test_what_ends_a_run_by_a_fault_ends_those_that_were_run_and_no_others(ues: Ues) -> None:
    ues.part.fault = MemoryError("no room")
    for ran in [ues.bring(ue, 1, Sharing(most=2, wait_ns=FOUR.wait_ns)) for ue in "ab"]:
        with pytest.raises(MemoryError, match="no room"):
            ran.result(SOON_S)
    ues.part.fault = None
    assert of(ues.bring("c", 3, Sharing())) == 6


def test_frames_of_unlike_shapes_are_not_run_together(ues: Ues) -> None:
    two = Sharing(most=2, wait_ns=1_000_000)
    unlike: list[Tensors] = [{"x": np.ones(size)} for size in (1, 2)]
    ran = [ues.pool.submit(ues.work.run, "a", ues.part, one, two) for one in unlike]
    assert [one.result(SOON_S).together for one in ran] == [1, 1]
