"""Threads that serve a stream together."""

from threading import Thread, get_ident

import pytest

from splitbed.node.stations.crew import Crew


def served(count: int) -> list[int]:
    """Which thread did each of so many things, as these came."""
    left, by = [*range(count)], list[int]()

    def serve() -> None:
        while (came := crew.awaited(lambda: left.pop(0) if left else None)) is not None:
            crew.relieve()
            by.append(get_ident() if came is not None else 0)

    crew = Crew(serve, 4)
    crew.run()
    return by


def test_others_help_and_all_have_ended_when_it_has() -> None:
    assert len(served(20)) == 20


def test_where_there_can_be_no_other_thread_one_does_all(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(Thread, "start", refuse)
    assert served(5) == [get_ident()] * 5
