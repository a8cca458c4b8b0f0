"""A task in a process of its own: started, fed, asked for its answer."""

import json
import os
import re
import select
import signal
import time
from contextlib import suppress
from types import TracebackType
from typing import Self

from splitbed.errors import MachineError, NodeError, UsageError
from splitbed.workers.allowance import Allowance
from splitbed.workers.fork_server import fork_server
from splitbed.workers.task import Answer
from splitbed.workers.wanted import LOOK_S, check_wanted

GRACE_S = 5.0
"""What a worker may take beyond its seconds at work, waiting."""

_ENDED = re.compile(rb"^ended (-?\d+)$", re.MULTILINE)
_NOBODY = "the fork server did"
_ERRORS = {error.exit_code: error for error in (UsageError, MachineError, NodeError)}


class Died(Exception):  # noqa: N818  what a worker did is no error of ours until somebody says so
    """How a worker ended that gave no answer, in words."""


class Worker:
    """One task, a function named ``package.module:function``, in a process of its own.

    Raises MachineError where there can be none.
    """

    def __init__(self, task: str, asked: Answer, allowance: Allowance) -> None:
        self._allowance = allowance
        self._said = b""
        self._status: str | None = None
        theirs, given = os.pipe()
        answers, said = os.pipe()
        self._given, self._answers = os.fdopen(given, "wb", 0), os.fdopen(answers, "rb", 0)
        try:
            fork_server().send(task, theirs, said)
        except BaseException:
            self.close()
            raise
        finally:
            os.close(theirs)
            os.close(said)
        self.feed(json.dumps([asked, vars(allowance)]).encode() + b"\n")

    @property
    def pid(self) -> int:
        """The worker's process; 0 where there is none yet."""
        pid, *_ = self._said.split(b"\n", 1)
        return int(pid or 0)

    def ready(self) -> Answer:
        """What it tells when it is; raises as :meth:`answer`."""
        return self._told("ready", self._read(lines=2))

    def feed(self, data: bytes | memoryview) -> bool:
        """Hand it some bytes, waiting while it is behind; whether it takes any more."""
        view = memoryview(data)
        try:
            while view:
                view = view[self._given.write(view) :]
        except (BrokenPipeError, ValueError):
            return False
        return True

    def answer(self) -> Answer:
        """What it makes of all that it was fed.

        Raises Died where it gave no answer, and the error that it gave in place of one.
        """
        self._given.close()
        return self._told("answer", self._read())

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

    def _told(self, what: str, lines: list[bytes]) -> Answer:
        told = json.loads(lines[-1]) if len(lines) > 1 else {}
        if "error" in told:
            raise _ERRORS.get(told["exit_code"], NodeError)(told["error"])
        if what not in told:
            raise Died(self._status or "it does not answer")
        answer: Answer = told[what]
        return answer

    def _read(self, lines: int | None = None) -> list[bytes]:
        """The lines that it said, once there are so many, or it ended: pid, ready, answer."""
        wait_s = self._allowance.seconds + GRACE_S
        deadline = time.monotonic() + wait_s
        poll = select.poll()
        poll.register(self._answers, select.POLLIN)
        while self._status is None and (lines is None or self._said.count(b"\n") < lines):
            left_s = max(deadline - time.monotonic(), 0)
            if not poll.poll(min(left_s, LOOK_S) * 1000):
                check_wanted()
                if left_s > LOOK_S:
                    continue
                self.kill()
                raise Died(f"it took over {self._allowance.seconds:g} s, and was ended")
            if data := os.read(self._answers.fileno(), 1 << 16):
                self._said += data
            else:
                self._status = _NOBODY
                if (ended := _ENDED.search(self._said)) is not None:
                    self._said, self._status = self._said[: ended.start()], _in_words(int(ended[1]))
        return self._said.splitlines()


def _in_words(code: int) -> str:
    """How a process ended, of what os.waitstatus_to_exitcode says."""
    if code in (-signal.SIGKILL, -signal.SIGXCPU):
        return "killed: it was at work for too long, or memory ended"
    return signal.Signals(-code).name if code < 0 else f"exit {code}"
