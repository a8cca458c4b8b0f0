"""A module run as a program, in a process that has imported most of what it needs already."""

import json
import os
import select
import signal
import threading
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

from splitbed.errors import MachineError
from splitbed.workers.fork_server import forked, here, safe_path
from splitbed.workers.inherited import Inherited


class Program:
    """``python -P -m module argv``, which ends with this process.

    It appends what it prints to ``log``, and enters the ``namespaces`` of these files, in their
    order. Its matrix products are on one thread, as those of what it is forked of, until it asks
    for more. Raises MachineError where there can be none.
    """

    def __init__(
        self,
        module: str,
        argv: Sequence[str],
        *,
        log: Path,
        environment: Mapping[str, str],
        namespaces: Sequence[str] = (),
    ) -> None:
        place = {
            "log": str(log.absolute()),
            "namespaces": [*namespaces],
            "folder": here(),
            "path": safe_path(),
            "environment": {**environment},
            "inherited": vars(Inherited.now()),
        }
        self.returncode: int | None = None
        self._lock = threading.Lock()
        given, self._said = forked(module)
        with given, ExitStack() as unless_begun:
            unless_begun.callback(self._said.close)
            self.pid = int(self._said.readline() or 0)
            if not self.pid:
                why = self._said.readall().partition(b"\n")[0]
                raise MachineError(json.loads(why)["error"] if why else "the fork server ended")
            try:  # it waits to be told: its number is its own
                self._process = os.pidfd_open(self.pid)
            except OSError as error:
                raise MachineError(f"cannot start a process: {error.strerror}") from error
            unless_begun.pop_all()
            told = memoryview(json.dumps({"argv": [*argv], "place": place}).encode())
            with suppress(BrokenPipeError):  # it has ended already, as :meth:`wait` says
                while told:
                    told = told[given.write(told) :]

    def wait(self, timeout_s: float | None = None) -> int | None:
        """How it ended, as Popen has it; None where it has not after so long."""
        with self._lock:
            if self.returncode is None:
                poll = select.poll()
                poll.register(self._process, select.POLLIN)
                if poll.poll(None if timeout_s is None else timeout_s * 1000):
                    self._ended()
        return self.returncode

    def poll(self) -> int | None:
        """How it ended; None where it has not."""
        return self.wait(0)

    def send_signal(self, number: signal.Signals) -> None:
        """Send it one, where it is still there."""
        if self.returncode is None:
            with suppress(OSError):  # it has just ended
                signal.pidfd_send_signal(self._process, number)

    def terminate(self) -> None:
        """Have it end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self.send_signal(signal.SIGKILL)

    def _ended(self) -> None:
        # without a word where the fork server ended, and all that it forked was killed
        said = self._said.readall().split()
        self.returncode = int(said[-1]) if said else -signal.SIGKILL
        self._said.close()
        os.close(self._process)
