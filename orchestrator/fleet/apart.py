"""A fleet asked in a process of its own: Ray ends the one that asked it, once its head is gone.

what would be asked of it ──> a pipe ──> a process that opened it    ends? another is begun, and
                                                                     what that was sent is lost
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from orchestrator.fleet.fleet import Came, Fleet
from orchestrator.fleet.order import Answer, Order
from splitbed.ending import PYTHON, WITH_US
from splitbed.errors import MachineError, SplitbedError, shorten

_END_S = 20.0


class Apart(Fleet):
    """Another fleet, which is not opened here."""

    def __init__(self, fleet: Fleet) -> None:
        self.words = fleet.words
        self._fleet = fleet
        self._spool = Path()
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe: Connection | None = None
        self._files: dict[str, Path] = {}
        self._sent: dict[str, Order] = {}
        self._why = ""
        self._lost: list[Came] = []

    def open(self, spool: Path) -> None:
        self._spool = spool
        ours, its = socket.socketpair()
        with its:
            self._process = subprocess.Popen(
                [*WITH_US, *PYTHON, "-m", "orchestrator.fleet.apart", str(its.fileno())],
                pass_fds=[its.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )
        self._pipe = Connection(ours.detach())
        self._pipe.send(self._fleet)
        self._asked("open", spool)

    def offer(self, files: Mapping[str, Path]) -> None:
        self._files |= files
        self._asked("offer", files)

    def looked_at(self, order: Order) -> Sequence[Answer]:
        found: Sequence[Answer] = self._asked("looked_at", order)
        return found

    def send(self, order: Order, avoiding: Collection[str] = (), near: str = "") -> None:
        self._sent[order.key] = order
        try:
            self._asked("send", order, [*avoiding], near)
        except MachineError as error:  # which `next` tells of
            self._end(error)

    def next(self, timeout_s: float) -> Came | None:
        if self._lost:
            return self._lost.pop()
        try:
            if self._pipe is None:
                self.open(self._spool)
                self._asked("offer", self._files)
                self._lost += [Came(order, lost=self._why) for order in self._sent.values()]
                self._sent.clear()
                self._why = ""
                return None
            came: Came | None = self._asked("next", timeout_s)
        except MachineError as error:
            self._end(error)
            time.sleep(timeout_s)
            return None
        if came:
            self._sent.pop(came.order.key, None)
        return came

    def any_left(self, avoiding: Collection[str]) -> bool:
        if self._pipe is None:
            return False
        try:
            return bool(self._asked("any_left", [*avoiding]))
        except MachineError as error:  # which `next` begins anew
            self._end(error)
            return False

    @property
    def gone(self) -> str:
        return "" if self._pipe else self._why

    def close(self) -> None:
        with suppress(MachineError):
            if self._pipe:
                self._asked("close")
        self._end()

    def _asked(self, name: str, *told: object) -> Any:
        """What it answers; raises what it raised, and MachineError where it failed or has ended."""
        if self._pipe is None:
            raise MachineError(f"{self.words} was lost")
        try:
            self._pipe.send((name, told))
            failed, answer = self._pipe.recv()
        except (EOFError, OSError):
            raise MachineError(f"{self.words} was lost") from None
        if failed:
            raise answer
        return answer

    def _end(self, why: MachineError | None = None) -> None:
        self._why = self._why or str(why or "")
        if self._pipe:
            self._pipe.close()
        self._pipe = None
        if self._process:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_END_S)
            self._process.kill()
            self._process.wait()


def main() -> None:
    """Answer for the fleet that comes first, until nobody asks any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who asks is told of it, and closes
    pipe = Connection(int(sys.argv[1]))
    fleet: Fleet = pipe.recv()
    with suppress(EOFError, OSError):
        while True:
            name, told = pipe.recv()
            try:
                answer = False, getattr(fleet, name)(*told)
            except SplitbedError as error:
                answer = True, error
            except ConnectionError:  # whatever it was at
                answer = True, MachineError(f"the connection to {fleet.words} was lost")
            except Exception as error:  # of any kind, which may not be there where it was asked
                told = shorten(" ".join(str(error).split()) or type(error).__name__)
                answer = True, MachineError(f"{fleet.words} failed: {told}")
            pipe.send(answer)
    os._exit(0)  # a head that is gone would be waited for


if __name__ == "__main__":
    main()
