"""The calls that one port answers at a time; those that wait for their callers make room.

    a call ──┬─ a slot is free ───────────────────────────────> a thread answers it
             ├─ a call waits for its caller, who is silent ───> that one ends, this one is answered
             └─ all are at work ──────────────────────────────> refused

Whoever opens calls and sends nothing, or takes no answer, thus takes nobody's place.
"""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import grpc

from splitbed.logs import SELDOM

PATIENCE_S = 20.0
"""How long a call may wait for a message of its caller, or until he takes one."""

_FRESH_S = 0.25
"""What was sent with a call comes within that."""

_MOST_QUEUED = 64
"""For each slot: calls no thread has come to yet, most of which were given up meanwhile."""


@dataclass(eq=False)
class Call:
    """A call that is answered; `who` asked for it.

    One that ``stays`` is for as long as its caller wants: frames, which may be seldom, or a watch.
    """

    who: str
    method: str
    context: grpc.ServicerContext
    stays: bool = False
    asked: bool = False
    """Whether a message of it came."""
    since_s: float | None = None
    """Since when it waits for its caller; None while it is worked on, or waits for a thread."""
    sends_s: float | None = None
    """Since when its caller has not taken a message, if it stays."""

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """What happens inside waits for the caller."""
        self.since_s = time.monotonic()
        try:
            yield
        finally:
            self.since_s = None

    def silent(self, for_s: float) -> bool:
        """Whether it has waited for so long."""
        since_s = self.since_s  # which its own thread changes
        return since_s is not None and time.monotonic() - since_s >= for_s

    def stuck(self, for_s: float) -> bool:
        """Whether its caller has taken nothing for so long."""
        since_s = self.sends_s
        return since_s is not None and time.monotonic() - since_s >= for_s


class Slots:
    """Threads for at most ``most`` calls at a time, of which ``each`` caller may have so many.

    ``patience_s`` is how long one may wait for its caller.
    """

    def __init__(self, most: int, each: int, patience_s: float = PATIENCE_S) -> None:
        self._most, self._each, self._patience_s = most, each, patience_s
        self._lock = threading.Lock()
        self._calls: set[Call] = set()
        # one that was given up may compute for a while yet
        self._threads = ThreadPoolExecutor(2 * most)
        self._queued = 0

    def take(self, call: Call, answer: Callable[[Call], None]) -> bool:
        """Have a thread `answer`, unless there is no room; nothing here waits."""
        with self._lock:
            if self._queued >= _MOST_QUEUED * self._most:
                return False
            if (ended := self._in_the_way(call)) is None:
                return False
            self._calls.difference_update(ended)
            self._calls.add(call)
            self._queued += 1
        for one in ended:
            _end(one)
        if not call.context.add_callback(partial(self._left, call)):
            self._left(call)
        self._threads.submit(self._begin, call, answer)
        return True

    def _begin(self, call: Call, answer: Callable[[Call], None]) -> None:
        with self._lock:
            self._queued -= 1
        if call.context.is_active():
            answer(call)

    def end_silent(self) -> None:
        """End the calls whose callers have said nothing for too long."""
        with self._lock:
            silent = [
                one
                for one in self._calls
                if (one.stuck if one.stays else one.silent)(self._patience_s)
            ]
            self._calls.difference_update(silent)
        for call in silent:
            _end(call)

    def _in_the_way(self, call: Call) -> list[Call] | None:
        """What has to end for a call, nothing where there is room; None where all are at work."""
        own = [one for one in self._calls if one.who == call.who]
        crowded = len(own) >= self._each
        if not crowded and len(self._calls) < self._most:
            return []
        of = own if crowded else [*self._calls]
        silent = [one for one in of if one.silent(_FRESH_S) and (crowded or not one.asked)]
        silent.sort(key=lambda one: one.since_s or 0.0)
        stuck = [one for one in of if one.stuck(PATIENCE_S)]
        return [*silent, *stuck][:1] or None

    def _left(self, call: Call) -> None:
        with self._lock:
            self._calls.discard(call)


def _end(call: Call) -> None:
    call.context.cancel()
    SELDOM.warning(
        "ended a call that was silent", (call.who, call.method), method=call.method, peer=call.who
    )
