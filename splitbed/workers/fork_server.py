"""The process that workers are forked from: it computes nothing, and so has a single thread."""

import json
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

from splitbed.ending import PYTHON, SIGNALS
from splitbed.errors import MachineError
from splitbed.workers.task import work

_MOST_NAME = 4096


class ForkServer:
    """That of this process, which it ends with; MachineError where it cannot be started."""

    def __init__(self) -> None:
        try:
            self._door, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        except OSError as error:
            raise MachineError(f"cannot start a fork server: {error.strerror}") from error
        # what is imported here can be imported there, but from no folder that one happens to be in
        path = [folder for folder in sys.path if folder]
        argv = [
            *PYTHON,
            "-c",
            f"import sys; sys.path = {path}; from {__name__} import main; main()",
        ]
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
                self._door.close()
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
        # said first: no other process has its number before
        ended = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        assert ended is not None
        code = ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status
        with suppress(BrokenPipeError):
            os.write(self.said, f"\nended {code}\n".encode())  # it may have ended within a line
        os.close(self.said)
        os.waitpid(self.pid, 0)


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
            if len(files) == 1:  # there was no room for the other
                os.close(files[0])
            elif files and (forked := _forked(name.decode(), door.fileno(), children, *files)):
                alive, children[alive] = forked
                poll.register(alive, select.POLLIN)


def _import(name: str, *, call: bool) -> None:
    module, _, function = name.partition(":")
    with suppress(Exception):  # for the worker to say
        loaded = import_module(module)
        if function and call:
            getattr(loaded, function)()


def _forked(
    task: str, door: int, others: dict[int, _Child], given: int, said: int
) -> tuple[int, _Child] | None:
    ends: tuple[int, ...] = ()
    try:
        ends = alive, held = os.pipe()
        freeze()  # what is there stays shared
        pid = os.fork()
    except OSError as error:
        _refuse(said, error)
        for file in (given, said, *ends):
            os.close(file)
        return None
    if not pid:
        # an end of another worker's pipe would hide that one's end
        for file in (door, alive, *others, *(other.said for other in others.values())):
            os.close(file)
        work(task, given, said)
    os.close(given)
    os.close(held)
    return alive, _Child(pid, said)


def _refuse(said: int, error: OSError) -> None:
    """Say what a worker would say, of a process (0) that there is none of."""
    words = f"cannot start a process: {error.strerror}"
    told = json.dumps({"error": words, "exit_code": MachineError.exit_code})
    with suppress(BrokenPipeError):
        os.write(said, f"0\n{told}\n".encode())
