"""The work that a node does for several UEs: parts, run as :class:`Line` says who is next.

No thread is its own: whoever brought the first frame of some that are run together runs them all.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Condition, Lock
from time import monotonic_ns
from typing import Protocol

from splitbed.errors import NodeError
from splitbed.node.config import Limits
from splitbed.node.shared.line import Line, Sharing, Waiting
from splitbed.tensors import Tensors
from splitbed.timeline import NS_PER_MS
from splitbed.v1 import nodes_pb2
from splitbed.workers.wanted import WANTED, check_wanted

MOST_TOGETHER, MOST_WAIT_MS = 256, 1000.0
"""Of a batch: frames, and how long the first of them may wait for others."""
_NS_PER_S = 1e9
_LOOK_S = 0.25
"""How often who waits looks whether he is waited for."""


class Shareable(Protocol):
    """A part that is run for several UEs; both raise NodeError."""

    def run(self, tensors: Tensors) -> Tensors:
        """What it makes of a frame."""

    def run_together(self, frames: Sequence[Tensors]) -> Sequence[Tensors]:
        """What it makes of each of several frames."""


@dataclass(frozen=True)
class Ran:
    """What a part made of a frame, and when it was at work on so many ``together``."""

    tensors: Tensors
    start_ns: int
    end_ns: int
    together: int = 1


@dataclass(eq=False)
class _Brought(Waiting):
    """A frame, and who waits for it: woken when he is to run it, and when it was run."""

    run: Shareable
    tensors: Tensors
    woken: Condition
    wanted: Callable[[], bool]
    taken: "Sequence[_Brought]" = ()
    came_of_it: Ran | Exception | None = None


@dataclass
class Work:
    """Runs parts for the frames of UEs, each of which waits in a thread of its own."""

    _line: Line[_Brought] = field(default_factory=Line)
    _lock: Lock = field(default_factory=Lock)

    def run(self, ue: str, part: Shareable, tensors: Tensors, sharing: Sharing) -> Ran:
        """What the part makes of a frame of that UE, once it was its turn.

        Raises NodeError where it fails, and within 0.5 s once nobody waits for it any more: a frame
        that is given up is not run, unless it is already, and ends no other.
        """
        woken, of = Condition(self._lock), (id(part), _shapes(tensors))
        frame = _Brought(ue, of, monotonic_ns(), sharing, part, tensors, woken, WANTED.get())
        with self._lock:
            self._line.come(frame)
            self._take()
            while not frame.taken:
                self._wait(frame)
                self._take()
        if frame is frame.taken[0]:
            self._run(frame.taken)
        with self._lock:
            while frame.came_of_it is None:
                check_wanted()
                frame.woken.wait(_LOOK_S)
        if isinstance(frame.came_of_it, Exception):
            raise frame.came_of_it
        return frame.came_of_it

    def _wait(self, frame: _Brought) -> None:
        """Until it may be its turn; who is given up leaves the line."""
        left_s = (frame.due_ns - monotonic_ns()) / _NS_PER_S
        frame.woken.wait(min(left_s, _LOOK_S) if left_s > 0 else _LOOK_S)
        if not frame.taken and not frame.wanted():
            self._line.leave(frame)
            check_wanted()

    def _take(self) -> None:
        """Have what is due run, by whoever brought the first of it."""
        while taken := self._line.take(monotonic_ns()):
            for one in taken:
                one.taken = taken
            taken[0].woken.notify()

    def _run(self, taken: Sequence[_Brought]) -> None:
        """Run them, as long as anybody waits for one of them."""
        token = WANTED.set(lambda: any(one.wanted() for one in taken))
        try:
            _work_on([one for one in taken if one.wanted()])
        except Exception as error:  # theirs to say, whatever it is: each waits in its own thread
            for one in taken:
                one.came_of_it = one.came_of_it or error
        finally:
            WANTED.reset(token)
        with self._lock:
            self._line.done()
            for one in taken:
                one.woken.notify()
            self._take()


def sharing_of(message: nodes_pb2.Queues, limits: Limits) -> Sharing:
    """How an assignment says that parts are shared; NodeError for what cannot be."""
    most, wait_ms = max(message.batch, 1), message.batch_wait_ms
    if message.workers > limits.streams or most > MOST_TOGETHER:
        raise NodeError(
            f"refused {message.workers} workers on batches of {most}: limits.streams allows "
            f"{limits.streams}, and {MOST_TOGETHER} frames are the most that are run together"
        )
    if not 0 <= wait_ms <= MOST_WAIT_MS:
        raise NodeError(f"refused to wait {wait_ms} ms for a batch: up to {MOST_WAIT_MS} are")
    return Sharing(message.workers, most, round(wait_ms * NS_PER_MS))


def _work_on(frames: Sequence[_Brought]) -> None:
    """Run a part on them together; where that fails, on each, so that none fails for another."""
    if len(frames) > 1:
        with suppress(NodeError):
            start_ns = monotonic_ns()
            made = frames[0].run.run_together([one.tensors for one in frames])
            end_ns = monotonic_ns()
            for one, tensors in zip(frames, made, strict=True):
                one.came_of_it = Ran(tensors, start_ns, end_ns, len(frames))
            return
    for one in frames:
        check_wanted()
        start_ns = monotonic_ns()
        try:
            tensors = one.run.run(one.tensors)
        except NodeError as error:
            one.came_of_it = error
        else:
            one.came_of_it = Ran(tensors, start_ns, monotonic_ns())


def _shapes(tensors: Tensors) -> tuple[tuple[str, tuple[int, ...]], ...]:
    return tuple((name, array.shape) for name, array in tensors.items())
