"""Whether anybody still waits for what a thread does; long work asks between its steps."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache

from splitbed.errors import NodeError


def _always() -> bool:
    return True


WANTED: ContextVar[Callable[[], bool]] = ContextVar("wanted", default=_always)
"""Set by who answers a call, for its thread."""

LOOK_S = 0.5
"""How often who waits looks whether he is waited for."""


def check_wanted() -> None:
    """NodeError once nobody waits for what this thread does."""
    if not WANTED.get()():
        raise NodeError("it was given up: nobody waits for it any more")


@contextmanager
def ended_by(end: Callable[[], None]) -> Iterator[None]:
    """What happens inside asks nobody: have `end` called, from elsewhere, when it is not wanted."""
    wanted = WANTED.get()
    if wanted is _always:
        yield
        return
    _watcher()
    key = object()
    _watched[key] = wanted, end
    try:
        yield
    finally:
        del _watched[key]


_watched: dict[object, tuple[Callable[[], bool], Callable[[], None]]] = {}


@cache
def _watcher() -> threading.Thread:
    """The one thread that looks for all, from when there is the first."""
    thread = threading.Thread(target=_watch, daemon=True)
    thread.start()
    return thread


def _watch() -> None:
    while True:
        time.sleep(LOOK_S)
        for wanted, end in _watched.copy().values():
            if not wanted():
                end()


def pause(seconds: float) -> None:
    """Wait so long; raises as :func:`check_wanted`, which is asked at once."""
    check_wanted()
    sleep_until(time.monotonic() + seconds)


def sleep_until(end_s: float) -> None:
    """Wait until then (time.monotonic); raises as :func:`check_wanted`."""
    while (left_s := end_s - time.monotonic()) > LOOK_S:
        check_wanted()
        time.sleep(LOOK_S)
    time.sleep(max(left_s, 0))


@contextmanager
def held_in_turn(lock: "threading.Lock | threading.RLock") -> Iterator[None]:
    """Hold a lock inside; raises as :func:`check_wanted`, which is asked while it is waited for."""
    while not lock.acquire(timeout=LOOK_S):
        check_wanted()
    try:
        yield
    finally:
        lock.release()
