"""The process that workers are forked from: it computes nothing, and so has a single thread."""

import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from gc import freeze
from importlib import import_module

from splitbed.ending import SIGNALS
from splitbed.errors import MachineError, SplitbedError
from splitbed.workers.task import work

_MOST_NAME = 4096


class ForkServer:
    """That of this process, which it ends with; MachineError where it cannot be started."""

    def __init__(self) -> None:
        self._door, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        argv = [sys.executable, "-c", f"from {__name__} import main; main()"]
        # threads of a library would not be there after a fork
        alone = {f"{library}_NUM_THREADS": "1" for library in ("OPENBLAS", "OMP", "MKL")}
        with theirs:
            try:
                self._process = subprocess.Popen(
                    argv,
                    stdin=theirs.fileno(),
                    stdout=subprocess.DEVNULL,
                    env={**os.environ, **alone},
                )
            except OSError as error:
                raise MachineError(f"cannot start a fork server: {error.strerror}") from error

    def send(self, name: str, *files: int) -> None:
        """A task, with the ends of its pipes; or a module, or what imports some, for later."""
        try:
            socket.send_fds(self._door, [name.encode()], files)
        except OSError as error:
            raise MachineError(f"the fork server ended ({self._process.poll()})") from error

    def end(self) -> None:
        """End it, and the workers."""
        self._door.close()
        self._process.wait()

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    @property
    def ended(self) -> bool:
        """Whether it is gone."""
        return self._process.poll() is not None


_lock = threading.Lock()
_started: list[ForkServer] = []
_users: list[None] = []


def fork_server() -> ForkServer:
    """The one of this process."""
    with _lock:
        if not _started or _started[0].ended:
            _started[:] = [ForkServer()]
        return _started[0]


def prepare(*needs: str) -> None:
    """Have it there, with modules that tasks will need; nobody waits for that.

    ``needs`` are modules, or functions of modules that import what is needed.
    """
    server = fork_server()
    for need in needs:
        server.send(need)


@contextmanager
def ending_fork_server() -> Iterator[None]:
    """Leave none behind: it ends when the last who is inside has left."""
    with _lock:
        _users.append(None)
    try:
        yield
    finally:
        with _lock:
            _users.pop()
            ended = _started.copy() if not _users else []
            del _started[: len(ended)]
        for server in ended:
            server.end()


@dataclass(frozen=True)
class _Child:
    pid: int
    said: int
    """Where how it ended is said, behind all that it said itself."""

    def reap(self) -> None:
        status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        with suppress(BrokenPipeError):
            os.write(self.said, f"ended {status}\n".encode())
        os.close(self.said)


def main() -> None:
    """Fork a worker for each task that comes on standard input, a socket, until that is closed."""
    for number in (signal.SIGINT, *SIGNALS, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    door = socket.socket(fileno=os.dup(0))
    children: dict[int, _Child] = {}
    """By the end of a pipe that is closed when they end."""
    poll = select.poll()
    poll.register(door, select.POLLIN)
    while True:
        for ready, _ in poll.poll():
            if ready != door.fileno():
                poll.unregister(ready)
                os.close(ready)
                children.pop(ready).reap()
                continue
            name, files, *_ = socket.recv_fds(door, _MOST_NAME, 2)
            if not name:
                for child in children.values():
                    os.kill(child.pid, signal.SIGKILL)
                return
            _import(name.decode(), call=not files)
            if files:
                alive, child = _forked(name.decode(), door.fileno(), children, *files)
                children[alive] = child
                poll.register(alive, select.POLLIN)


def _import(name: str, *, call: bool) -> None:
    module, _, function = name.partition(":")
    with suppress(ImportError, SplitbedError):  # for the worker to say
        loaded = import_module(module)
        if function and call:
            getattr(loaded, function)()


def _forked(
    task: str, door: int, others: dict[int, _Child], given: int, said: int
) -> tuple[int, _Child]:
    alive, held = os.pipe()
    freeze()  # what is there stays shared
    if not (pid := os.fork()):
        # an end of another worker's pipe would hide that one's end
        for file in (door, alive, *others, *(other.said for other in others.values())):
            os.close(file)
        work(task, given, said)
    os.close(given)
    os.close(held)
    return alive, _Child(pid, said)
