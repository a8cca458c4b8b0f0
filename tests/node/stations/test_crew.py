"""Threads that serve a stream together."""

from threading import Barrier, Lock, Thread, current_thread, get_ident

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


def test_others_help_up_to_so_many_and_all_have_ended_when_it_has() -> None:
    helped, together, lock = set[Thread](), Barrier(5), Lock()
    left = [*range(20)]

    def come() -> int | None:
        with lock:
            return left.pop() if left else None

    def serve() -> None:
        while crew.awaited(come) is not None:
            helped.add(current_thread())
            crew.relieve()
            together.wait(10)  # each is at what came until so many are

    (crew := Crew(serve, 4)).run()
    assert len(helped) == 5
    assert [one for one in helped if one is not current_thread() and one.is_alive()] == []


def test_where_there_can_be_no_other_thread_one_does_all(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(Thread, "start", refuse)
    assert served(5) == [get_ident()] * 5
