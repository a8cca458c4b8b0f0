"""A task in a process of its own: started, fed, asked for its answer."""

import json
import os
import re
import select
import signal
import threading
import time
from contextlib import ExitStack, suppress
from types import TracebackType
from typing import Self

import msgspec

from splitbed.errors import MachineError, NodeError, UsageError
from splitbed.workers.allowance import Allowance
from splitbed.workers.fork_server import forked, here
from splitbed.workers.inherited import Inherited
from splitbed.workers.task import Answer
from splitbed.workers.wanted import LOOK_S, check_wanted

WALL = 4
"""So many times its seconds at work a worker may be there: it waits for disks, and for others."""
GRACE_S = 5.0
"""What it may take beyond them."""

_MOST_SAID_BYTES = 64 << 20
_ENDED = re.compile(rb"\nended (-?\d+)\n\Z")
_NOBODY = "the fork server did"
_ERRORS = {error.exit_code: error for error in (UsageError, MachineError, NodeError)}


class Died(Exception):  # noqa: N818  what a worker did is no error of ours until somebody says so
    """How a worker ended that gave no answer, in words."""


class _Words(msgspec.Struct):
    """A line that a worker says, after the first."""

    ready: dict[str, object] | None = None
    answer: dict[str, object] | None = None
    error: str | None = None
    exit_code: int = NodeError.exit_code


class Worker:
    """One task, a function named ``package.module:function``, in a process of its own.

    Raises MachineError where there can be none.
    """

    def __init__(self, task: str, asked: Answer, allowance: Allowance) -> None:
        self._allowance = allowance
        self._said = bytearray()
        self._lines = 0
        self._status: str | None = None
        self._lock = threading.Lock()
        self._given, self._answers = forked(task)
        with ExitStack() as unless_fed:
            unless_fed.callback(self.close)
            for end in (self._given, self._answers):
                os.set_blocking(end.fileno(), False)
            self.feed(
                json.dumps([asked, vars(allowance), here(), vars(Inherited.now())]).encode() + b"\n"
            )
            unless_fed.pop_all()

    @property
    def pid(self) -> int:
        """The worker's process; 0 where there is none yet."""
        pid, *_ = self._said.split(b"\n", 1)
        return int(pid or 0)

    def ready(self) -> Answer:
        """What it tells when it is; raises as :meth:`answer`."""
        return self._unless_ended(self._told(self._read(lines=2)[:2]).ready)

    def feed(self, data: bytes | memoryview) -> bool:
        """Hand it some bytes, waiting while it is behind; whether it takes any more.

        Raises NodeError once nobody waits for that.
        """
        view, poll = memoryview(data), select.poll()
        try:
            poll.register(self._given, select.POLLOUT)
            while view:
                if poll.poll(LOOK_S * 1000):
                    view = view[self._given.write(view) or 0 :]
                else:
                    check_wanted()
        except (BrokenPipeError, ValueError):
            return False
        return True

    def answer(self) -> Answer:
        """What it makes of all that it was fed.

        Raises Died where it gave no answer, and the error that it gave in place of one.
        """
        self._given.close()
        words = self._told(self._read(lines=2)[:2])
        if words.ready is not None:
            words = self._told(self._read(lines=3)[:3])
        return self._unless_ended(words.answer)  # which is there before the process ends

    def accepted(self, doing: str) -> Answer:
        """As :meth:`answer`, of a task that opens a file: UsageError where it was its end.

        ``doing`` is what cannot be done then.
        """
        try:
            return self.answer()
        except Died as died:
            raise UsageError(
                f"cannot {doing}: a process that tried to ended ({died}); it is damaged, or needs "
                "more than it may have: get the file again"
            ) from None
        except NodeError as error:
            raise UsageError(f"cannot {doing}: {error}") from None

    def kill(self) -> None:
        """End it, from any thread."""
        for _ in range(2):  # all that it said, and its end: its number may be another's then
            self._take()
        if self.pid and self._status is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    def close(self) -> None:
        """End it, if it has not."""
        self.kill()
        self._given.close()
        self._answers.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _unless_ended(self, told: Answer | None) -> Answer:
        if told is not None:
            return told
        self._read()  # to the end
        if self._status == _NOBODY:
            raise MachineError(
                "nobody says how a worker ended: the fork server ended, or had no room for it: "
                "try again"
            )
        raise Died(self._status or "it does not answer")

    def _told(self, lines: list[bytearray]) -> _Words:
        try:
            words = msgspec.convert(json.loads(lines[-1]) if len(lines) > 1 else {}, _Words)
        except (ValueError, RecursionError, msgspec.ValidationError):  # it ended within a line
            words = _Words()
        if words.error is not None:
            raise _ERRORS.get(words.exit_code, NodeError)(words.error)
        return words

    def _read(self, lines: int | None = None) -> list[bytearray]:
        """The lines that it said, once there are so many, or it ended: pid, ready, answer."""
        most_s = WALL * self._allowance.seconds + GRACE_S
        deadline = time.monotonic() + most_s
        poll = select.poll()
        poll.register(self._answers, select.POLLIN)
        while self._status is None and (lines is None or self._lines < lines):
            left_s = max(deadline - time.monotonic(), 0)
            if poll.poll(min(left_s, LOOK_S) * 1000):
                self._take()
            else:
                check_wanted()
                if left_s <= LOOK_S:
                    self.kill()
                    raise Died(f"it took over {most_s:g} s, and was ended")
            if len(self._said) > _MOST_SAID_BYTES:
                self.kill()
                raise Died("it said too much, and was ended")
        return self._said.splitlines()

    def _take(self) -> None:
        """Take some of what it said, or its end, if there is any yet."""
        with self._lock, suppress(BlockingIOError, ValueError):  # closed
            if data := os.read(self._answers.fileno(), 1 << 16):
                self._said += data
                self._lines += data.count(b"\n")
            elif self._status is None:
                self._status = _NOBODY
                if (ended := _ENDED.search(self._said)) is not None:
                    self._status = _in_words(int(ended[1]))
                    del self._said[ended.start() :]


def _in_words(code: int) -> str:
    """How a process ended, of what os.waitstatus_to_exitcode says."""
    if code in (-signal.SIGKILL, -signal.SIGXCPU):
        return "killed: it was at work for too long, or memory ended"
    return signal.Signals(-code).name if code < 0 else f"exit {code}"
