"""How long a node may take to answer: as long as something moves."""

from collections.abc import Iterator
from itertools import count, repeat
from threading import Condition
from typing import Any, cast

import grpc
import pytest

from orchestrator.testbed.loading import patience
from orchestrator.testbed.loading.patience import STILL_S, Patience
from orchestrator.testbed.nodes.node import Node
from splitbed.errors import NodeError

LOOK_S = STILL_S / 10
LONG = 40
"""Looks at a node: four times as long as a call may stand still."""


class World:
    """A node that is looked at every so often, in a time of its own, and a call of it.

    ``busy`` is what it has computed at each look; None: it does not answer.
    """

    side = "edge"

    def __init__(self, busy: Iterator[float | None], *, there: bool = True) -> None:
        self._busy, self._there = busy, there
        self.looks, self._changed = 0, Condition()
        self.cancelled = False

    def monotonic(self) -> float:
        return self.looks * LOOK_S

    def busy_s(self) -> float | None:
        with self._changed:
            self.looks += 1
            self._changed.notify_all()
        return next(self._busy)

    def answers(self) -> bool:
        return self._there

    def looked_at(self, times: int) -> bool:
        """Wait for so many looks; whether the call was not cancelled meanwhile."""
        with self._changed:
            until = self.looks + times
            self._changed.wait_for(lambda: self.cancelled or self.looks >= until, 60)
        return not self.cancelled

    def cancel(self) -> None:
        with self._changed:
            self.cancelled = True
            self._changed.notify_all()

    def result(self) -> str:
        if not self.looked_at(LONG):
            raise grpc.FutureCancelledError
        return "done"


def patient(monkeypatch: pytest.MonkeyPatch, world: World) -> Patience:
    monkeypatch.setattr(patience, "LOOK_S", 0.001)
    monkeypatch.setattr(patience, "time", world)
    return Patience(cast(Node, world))


def test_a_node_that_computes_may_take_as_long_as_it_does(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(count(0.0, LOOK_S / 10))
    assert patient(monkeypatch, world).answer(world) == "done"


@pytest.mark.parametrize("a_look_s", [0, LOOK_S / 100], ids=["nothing", "as one that waits does"])
def test_a_call_is_given_up_once_nothing_has_moved(
    monkeypatch: pytest.MonkeyPatch, a_look_s: float
) -> None:
    world = World(count(5.0, a_look_s))
    with pytest.raises(NodeError, match="the edge node has done nothing for 120 s"):
        patient(monkeypatch, world).answer(world)
    assert 10 <= world.looks < LONG


def test_a_node_that_does_not_answer_hung(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(repeat(None), there=False)
    with pytest.raises(NodeError, match="the edge node hung"):
        patient(monkeypatch, world).answer(world)


def test_each_message_that_is_sent_or_comes_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    class Sending(World):
        def result(self) -> str:
            assert all(self.looked_at(LONG // 8) for _ in waiting.through(range(8)))
            return "sent"

        def __iter__(self) -> Iterator[int]:
            return (number for number in range(8) if self.looked_at(LONG // 8))

    waiting = patient(monkeypatch, world := Sending(repeat(1.0)))
    assert waiting.answer(world) == "sent"
    waiting = patient(monkeypatch, world := Sending(repeat(1.0)))
    assert waiting.answers(world) == [*range(8)]


def test_a_call_that_is_interrupted_is_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupted(World):
        def result(self) -> Any:
            raise KeyboardInterrupt

    world = Interrupted(count(0.0, 1.0))
    with pytest.raises(KeyboardInterrupt):
        patient(monkeypatch, world).answer(world)
    assert world.cancelled
