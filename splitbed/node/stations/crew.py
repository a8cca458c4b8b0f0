"""Threads that serve a stream together: one awaits what comes, the others are at what came."""

from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from threading import Lock, Thread
from typing import TypeVar

from splitbed.errors import SplitbedError

_T = TypeVar("_T")


class Crew:
    """Up to ``most`` threads beside the first, each made when nobody awaits what comes next.

    Each ``serve``\\ s until that returns, or raises: so do the others then, and who called
    :meth:`run`.
    """

    def __init__(self, serve: Callable[[], None], most: int) -> None:
        self._serve = serve
        self._most = most
        self._lock = Lock()
        self._idle = 0
        self._others: list[Thread] = []

    def run(self) -> None:
        """Serve, with others once they are needed, until all have ended."""
        try:
            self._serve()
        finally:
            for other in self._others:
                other.join()

    def awaited(self, ask: Callable[[], _T]) -> _T:
        """What is awaited by this thread."""
        with self._lock:
            self._idle += 1
        try:
            return ask()
        finally:
            with self._lock:
                self._idle -= 1

    def relieve(self) -> None:
        """See that another thread awaits what comes next, as long as there may be more."""
        with self._lock:
            if self._idle or len(self._others) >= self._most:
                return
            context = copy_context()
            other = Thread(target=context.run, args=(self._other,), daemon=True)
            with suppress(RuntimeError):  # there is no memory for one: what comes waits
                other.start()
                self._others.append(other)

    def _other(self) -> None:
        try:
            self._serve()
        except SplitbedError:
            return  # of the stream, which has ended for all
