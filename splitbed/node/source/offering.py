"""Frames offered at their source: begun as they are due, whatever becomes of those before.

schedule ──> queue ──> who is free begins the next, and carries it through ──> its outcome

Who is free waits himself until a frame is due, and takes it through the stations and back: nothing
is handed over, so that a frame that meets no other is as fast as one that is asked for alone.
"""

import ctypes
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from itertools import pairwise
from threading import Lock

from splitbed.errors import FrameDropped, NodeError, SplitbedError
from splitbed.node.source.inputs import MAX_INPUTS
from splitbed.node.source.queue import Due, SourceQueue
from splitbed.node.source.telling import Telling
from splitbed.node.stations.frame import Frame
from splitbed.node.stations.frames import NUMBERS
from splitbed.node.stations.passing import Passing
from splitbed.timeline import sleep_until_ns
from splitbed.v1 import nodes_pb2
from splitbed.workers.wanted import check_wanted, held_in_turn

MOST_FRAMES = 100_000
MOST_NS = 86_400 * 10**9
_MOST_AHEAD_NS = 60 * 10**9
_MOST_WORDS = 500
_LOOK_S, _EARLY_NS = 0.1, 2_000_000
"""How often who waits looks whether he is to stop; how long before a frame is due he takes it."""
_PR_SET_TIMERSLACK, _SLACK_NS = 29, 1  # prctl(2)

_Entered = Frame | SplitbedError
"""A frame that is to go, or why it cannot."""


class Offering:
    """What an OfferRequest asks, done once; NodeError for one that cannot be."""

    def __init__(self, passing: Passing, request: nodes_pb2.OfferRequest) -> None:
        queues = passing.frames.assignment(request.assignment).queues
        if queues is None:
            raise NodeError(
                f"refused to offer frames: those of assignment {request.assignment} come one at a "
                "time, it has no queues"
            )
        check_offer(request)
        self._passing = passing
        self._request = request
        start_ns = request.start_ns or time.monotonic_ns()
        due_ns = [start_ns + one for one in request.due_ns]
        self._queue = SourceQueue(due_ns, queues.most, queues.drop, request.frames)
        self._frames = len(due_ns) or request.frames
        self._carriers = min(queues.in_flight, self._frames)
        self._turn = Lock()
        """Of who waits for the next frame."""
        self._queued = Lock()
        self._telling = Telling[nodes_pb2.Outcome]()
        self._left = self._frames
        """Of those to tell."""
        self._stopped = self._telling.stopped

    def give_up(self) -> None:
        """End it soon, from any thread: nobody waits for its outcomes any more."""
        self._stopped.set()
        self._passing.cancel()

    def outcomes(self) -> Iterator[nodes_pb2.Outcomes]:
        """What became of each frame, soon after it is known, of some together.

        Raises NodeError once nobody waits for it.
        """
        with ThreadPoolExecutor(self._carriers, "carrier") as pool:
            carrying = [pool.submit(copy_context().run, self._carry) for _ in range(self._carriers)]
            try:
                while self._left:
                    told = self._next_told(carrying)
                    self._left -= len(told)
                    yield nodes_pb2.Outcomes(outcomes=told)
            finally:
                self._stopped.set()

    def _next_told(self, carrying: Sequence["Future[None]"]) -> Sequence[nodes_pb2.Outcome]:
        while True:
            if told := self._telling.told():
                return told
            check_wanted()
            for one in carrying:
                if one.done():
                    one.result()  # raises what ended it

    def _carry(self) -> None:
        """One frame after another, until there are no more."""
        _wake_promptly()
        while (begun := self._next()) is not None:
            self._tell(self._carried(*begun))

    def _next(self) -> tuple[Due, _Entered] | None:
        """The next frame, which enters behind the one before; None after the last."""
        with self._queued:
            self._queue.free(time.monotonic_ns())
        with held_in_turn(self._turn):
            while not self._stopped.is_set():
                due, gone, coming = self._look()
                for one, at_ns in gone:
                    self._tell(self._outcome(one, "dropped_source", at_ns))
                if due is not None:
                    return due, self._enter(due)
                if coming is None or not self._wait_until(coming.due_ns - _EARLY_NS):
                    break
                with self._queued:
                    early = self._queue.take_early(time.monotonic_ns())
                if early is not None:  # it is at its station when it is due, and begins then
                    return early, self._enter(early)
                sleep_until_ns(coming.due_ns)
        return None

    def _look(self) -> tuple[Due | None, list[tuple[Due, int]], Due | None]:
        """The frame to begin now, those that have gone, and the one that comes next."""
        now_ns = time.monotonic_ns()
        with self._queued:
            return self._queue.take(now_ns), self._queue.dropped(now_ns), self._queue.next

    def _enter(self, due: Due) -> _Entered:
        request = nodes_pb2.FrameRequest(
            frame=self._request.first + due.place,
            input=self._input(due),
            assignment=self._request.assignment,
            others=self._request.others,
        )
        try:
            frame = self._passing.enter(request)
        except SplitbedError as error:
            return error
        frame.timeline.begin_ns = due.due_ns
        return frame

    def _wait_until(self, at_ns: int) -> bool:
        """Whether that came before the end."""
        while (left_ns := at_ns - time.monotonic_ns()) > 0:
            if self._stopped.wait(min(left_ns / 1e9, _LOOK_S)):
                return False
        return True

    def _carried(self, due: Due, frame: _Entered) -> nodes_pb2.Outcome:
        """What became of a frame that entered, or could not."""
        began_ns = max(due.due_ns, time.monotonic_ns())
        try:
            if isinstance(frame, SplitbedError):
                raise frame
            record = self._passing.go(frame, self._request.others)
        except FrameDropped as dropped:
            told = self._outcome(due, "dropped_edge", time.monotonic_ns(), dropped.node)
            told.start_ns = began_ns
        except SplitbedError as error:
            told = self._outcome(due, "error", time.monotonic_ns(), str(error)[:_MOST_WORDS])
            told.start_ns = 0 if error is frame else began_ns
        else:
            ended_ns = record.stages[-1].end_ns if record.stages else time.monotonic_ns()
            told = self._outcome(due, "ok", ended_ns)
            told.start_ns = frame.timeline.stages[0].start_ns
            told.record.CopyFrom(record)
        return told

    def _outcome(self, due: Due, outcome: str, done_ns: int, reason: str = "") -> nodes_pb2.Outcome:
        return nodes_pb2.Outcome(
            frame=self._request.first + due.place,
            input=self._input(due),
            outcome=outcome,
            due_ns=due.due_ns,
            done_ns=done_ns,
            reason=reason,
        )

    def _input(self, due: Due) -> int:
        inputs = self._request.inputs
        return inputs[due.place % len(inputs)]

    def _tell(self, outcome: nodes_pb2.Outcome) -> None:
        self._telling.tell(outcome, self._left)


def _wake_promptly() -> None:
    """Have this thread sleep no longer than it asks for: it is 50 µs otherwise."""
    with suppress(AttributeError, OSError):  # of a system without
        ctypes.CDLL(None).prctl(_PR_SET_TIMERSLACK, _SLACK_NS, 0, 0, 0)


def check_offer(request: nodes_pb2.OfferRequest) -> None:
    """NodeError for frames that cannot be offered, whatever is assigned."""
    due_ns, refused = request.due_ns, "refused to offer frames:"
    count = len(due_ns) or request.frames
    if not 1 <= count <= MOST_FRAMES:
        raise NodeError(f"{refused} {count} are asked, not 1 to {MOST_FRAMES}")
    if request.first < 1 or request.first + count > NUMBERS:
        raise NodeError(f"{refused} {count} from number {request.first} on have no numbers")
    if not 1 <= len(request.inputs) <= MAX_INPUTS:
        raise NodeError(f"{refused} of {len(request.inputs)} inputs, not 1 to {MAX_INPUTS}")
    if any(later < before for before, later in pairwise(due_ns)):
        raise NodeError(f"{refused} one is due before another that comes first")
    if due_ns and due_ns[-1] > MOST_NS:
        raise NodeError(f"{refused} the last is due after {due_ns[-1] / 1e9:.0f} s, a day is most")
    ahead_ns = request.start_ns - time.monotonic_ns()
    # a little past is no fault: a node may wake late, and says by how much
    if request.start_ns and abs(ahead_ns) > _MOST_AHEAD_NS:
        raise NodeError(
            f"{refused} the first moment is {ahead_ns / 1e9:.3g} s from now, "
            f"{_MOST_AHEAD_NS / 1e9:.0f} before or after are most"
        )
