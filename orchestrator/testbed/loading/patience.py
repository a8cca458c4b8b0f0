"""How long a node may take to answer: as long as something moves.

Neither how fast a node is nor the way to it is known, so no call that waits for a model to be
taken, cut, opened or profiled has a fixed time. It is given up once for STILL_S, or as long as else
is right for a call, no message has gone either way, and neither the node nor a process that it
started has computed.
"""

import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import Protocol, TypeVar

import grpc

from orchestrator.testbed.nodes.node import Node
from splitbed.errors import NodeError

LOOK_S, STILL_S = 10.0, 120.0
BUSY = 0.02
"""Of a processor; a node that waits takes less."""

_Message = TypeVar("_Message")
_Reply_co = TypeVar("_Reply_co", covariant=True)


class _Future(Protocol[_Reply_co]):
    """What is used of a grpc.Future."""

    def result(self) -> _Reply_co: ...

    def cancel(self) -> bool | None: ...


class Answers(Protocol[_Reply_co]):
    """What is used of a call whose answers are a stream."""

    def __iter__(self) -> Iterator[_Reply_co]: ...

    def cancel(self) -> bool | None: ...


class Patience:
    """With one call of `node`; raises NodeError when that is given up, and grpc.RpcError."""

    def __init__(self, node: Node, still_s: float = STILL_S) -> None:
        self._node = node
        self._still_s = still_s
        self._moved_s = self._looked_s = time.monotonic()
        self._busy_s: float | None = None

    def through(self, messages: Iterable[_Message]) -> Iterator[_Message]:
        """The messages; each that is taken moves."""
        for message in messages:
            self._moved_s = time.monotonic()
            yield message

    def answer(self, call: _Future[_Reply_co]) -> _Reply_co:
        """What the call is answered with."""
        with self._watching(call):
            return call.result()

    def answers(self, call: Answers[_Reply_co]) -> list[_Reply_co]:
        """All that the call is answered with."""
        return [*self.each(call)]

    def each(self, call: Answers[_Reply_co]) -> Generator[_Reply_co, None, None]:
        """One answer after another; the call ends with whoever asks for no more."""
        with self._watching(call):
            yield from self.through(call)

    def next(self, call: Answers[_Reply_co]) -> _Reply_co | None:
        """What the call is answered with next; None where it ends."""
        self._moved_s = time.monotonic()
        with self._watching(call):
            return next(iter(call), None)

    @contextmanager
    def _watching(self, call: _Future[object] | Answers[object]) -> Iterator[None]:
        done, given_up = Event(), Event()

        def watch() -> None:
            while not done.wait(min(LOOK_S, self._still_s)):
                if self._stands_still():
                    given_up.set()
                    call.cancel()

        Thread(target=watch, daemon=True).start()
        try:
            yield
        except (grpc.RpcError, grpc.FutureCancelledError):
            if not given_up.is_set():
                raise
            how = f"has done nothing for {self._still_s:.0f} s" if self._node.answers() else "hung"
            raise NodeError(f"the {self._node.side} node {how}") from None
        except BaseException:
            call.cancel()  # or it would go on in the midst of what comes next
            raise
        finally:
            done.set()

    def _stands_still(self) -> bool:
        now_s, busy_s = time.monotonic(), self._node.busy_s()
        if busy_s is not None:
            if self._busy_s is not None and busy_s - self._busy_s > BUSY * (now_s - self._looked_s):
                self._moved_s = now_s
            self._busy_s, self._looked_s = busy_s, now_s
        return now_s - self._moved_s > self._still_s
