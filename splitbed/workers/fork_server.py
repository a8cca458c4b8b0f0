"""The process that others are forked from: it computes nothing, and so has a single thread."""

import gc
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from io import FileIO
from pathlib import Path
from typing import Self

from splitbed.ending import PYTHON, SIGNALS, hear_of_children
from splitbed.errors import MachineError
from splitbed.workers.running import Signals, run
from splitbed.workers.task import work

_MOST_NAME = 4096
_ALONE = {f"{library}_NUM_THREADS": "1" for library in ("OPENBLAS", "OMP", "MKL")}
"""Threads of a library would not be there after a fork."""
_ROOM = 4096
"""For the words of a program, which are written where those of this process were."""


class ForkServer:
    """That of this process, which it ends with."""

    def __init__(self, door: socket.socket, process: "subprocess.Popen[bytes] | _Forked") -> None:
        self._door, self._process = door, process

    @classmethod
    def fresh(cls) -> Self:
        """One that has imported nothing yet; MachineError where it cannot be started."""
        program = f"import sys; sys.path = {safe_path()}; from {__name__} import main; main()"
        with ExitStack() as ours:
            try:
                door, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
                ours.enter_context(door)
                with theirs:
                    process = subprocess.Popen(
                        [*PYTHON, "-c", f"{program} #{' ' * _ROOM}"],
                        stdin=theirs.fileno(),
                        stdout=subprocess.DEVNULL,
                        env={**os.environ, **_ALONE},
                        start_new_session=True,  # a Ctrl-C is for this process alone
                    )
            except OSError as error:
                raise MachineError(f"cannot start a fork server: {error.strerror}") from error
            ours.pop_all()
        return cls(door, process)

    @classmethod
    def forked(cls) -> Self:
        """One that has imported what this process has, which has a single thread; OSError."""
        door, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        if not (pid := os.fork()):
            try:
                os.dup2(theirs.fileno(), 0)
                os.environ.update(_ALONE)
                os.closerange(3, os.sysconf("SC_OPEN_MAX"))
                main()
            finally:
                os._exit(0)
        theirs.close()
        return cls(door, _Forked(pid))

    def send(self, name: str, *files: int) -> None:
        """What is to be forked, with the ends of its pipes: a task, or a module that is a program.

        Without these a module, or what imports some, for later.
        """
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


class _Forked:
    """As Popen has one: a process that was forked here."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._code: int | None = None
        self._lock = threading.Lock()

    def poll(self, how: int = os.WNOHANG) -> int | None:
        with self._lock:
            if self._code is None:
                pid, status = os.waitpid(self.pid, how)
                self._code = os.waitstatus_to_exitcode(status) if pid else None
            return self._code

    def wait(self) -> int | None:
        return self.poll(0)


_lock = threading.Lock()
_started: list[ForkServer] = []
_users: list[None] = []


def fork_server() -> ForkServer:
    """The one of this process."""
    with _lock:
        if not _started or _started[0].ended:
            _started[:] = [ForkServer.fresh()]
        return _started[0]


def safe_path() -> list[str]:
    """What is imported here can be imported there, but from no folder that one happens to be in."""
    return [folder for folder in sys.path if folder]


def here() -> str | None:
    """The folder that paths may begin in which are asked for; None if it is gone."""
    with suppress(FileNotFoundError):
        return str(Path.cwd())
    return None


def forked(what: str) -> tuple[FileIO, FileIO]:
    """Have it fork what does that: gives where it is fed, and where it says what it has to say.

    Raises MachineError.
    """
    with ExitStack() as ours, ExitStack() as sent:
        try:
            theirs, given = os.pipe()
            sent.callback(os.close, theirs)
            feeding = ours.enter_context(os.fdopen(given, "wb", 0))
            answers, said = os.pipe()
        except OSError as error:
            raise MachineError(f"cannot start a worker: {error.strerror}") from error
        sent.callback(os.close, said)
        saying = ours.enter_context(os.fdopen(answers, "rb", 0))
        fork_server().send(what, theirs, said)
        ours.pop_all()
    return feeding, saying


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
    """Fork for each task and program that comes on stdin, a socket, until that is closed."""
    ignored = (signal.SIGINT, *SIGNALS, signal.SIGPIPE)
    before = {number: signal.signal(number, signal.SIG_IGN) for number in ignored}
    hear_of_children()
    gc.disable()  # it imports alone: all that it has stays
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
            told, files, *_ = socket.recv_fds(door, _MOST_NAME, 2)
            if not (name := told.decode()):
                for child in children.values():
                    os.kill(child.pid, signal.SIGKILL)
                return
            if not files or ":" in name:
                _import(name, call=not files)
            if len(files) == 1:  # there was no room for the other
                os.close(files[0])
            elif files and (begun := _begun(name, before, door.fileno(), children, *files)):
                alive, children[alive] = begun
                poll.register(alive, select.POLLIN)


def _import(name: str, *, call: bool) -> None:
    module, _, function = name.partition(":")
    with suppress(Exception):  # for the worker to say
        loaded = import_module(module)
        if function and call:
            getattr(loaded, function)()


def _begun(
    what: str, signals: Signals, door: int, others: dict[int, _Child], given: int, said: int
) -> tuple[int, _Child] | None:
    ends: tuple[int, ...] = ()
    try:
        ends = alive, held = os.pipe()
        gc.freeze()  # what is there stays shared
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
        gc.enable()
        if ":" in what:
            work(what, given, said)
        run(what, given, said, signals, _fork_own)
    os.close(given)
    os.close(held)
    return alive, _Child(pid, said)


def _fork_own() -> None:
    """Have one of this process's own, while it has a single thread."""
    with suppress(OSError):  # one is started once it is needed
        _started[:] = [ForkServer.forked()]


def _refuse(said: int, error: OSError) -> None:
    """Say what a worker would say, of a process (0) that there is none of."""
    words = f"cannot start a process: {error.strerror}"
    told = json.dumps({"error": words, "exit_code": MachineError.exit_code})
    with suppress(BrokenPipeError):
        os.write(said, f"0\n{told}\n".encode())
