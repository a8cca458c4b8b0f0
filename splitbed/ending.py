"""What ends a command from outside, beside Ctrl-C: signals, and output that nobody reads."""

import errno
import io
import os
import select
import signal
import stat
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any, TextIO, cast

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
"""They end a command as Ctrl-C does, but one that it was started to ignore, as nohup has it."""

WITH_US = ("setpriv", "--pdeathsig", "KILL", "--")
"""Before a command: it is killed with the thread that started it, however that ends."""
PYTHON = (sys.executable, "-P")
"""Begins a process of ours: nothing is imported from the folder that it happens to be in."""

_NOBODY = (errno.EPIPE, errno.EIO)

MOST_UNREAD_BYTES = 1 << 20
"""Of a service's log, kept for who reads it slowly; more is left out, and how much is told."""
_STDERR, _READ_BYTES, _LAST_S = 2, 1 << 16, 1.0


Handler = Callable[[int, FrameType | None], None]


def on_signals(handler: Handler) -> None:
    """Have `handler` called for SIGNALS."""
    for number in SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, handler)


def hear_of_children() -> None:
    """Have how a child ended be kept until asked for, also where who started this ignores it."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)


def take_signals(handler: Handler) -> None:
    """Have `handler` called for SIGNALS, and SIGTERM sent for a SIGPIPE of another process."""
    on_signals(handler)
    hear_of_children()
    # that of a socket of ours stays with the thread that wrote to it, where it is blocked
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGPIPE})
    threading.Thread(target=_take_pipe, daemon=True).start()


def _take_pipe() -> None:
    signal.sigwait({signal.SIGPIPE})
    os.kill(os.getpid(), signal.SIGTERM)


def outlive_readers(*, end: bool) -> None:
    """Have what is printed go nowhere once nobody reads it; with `end`, SIGTERM is sent, too.

    Not for a terminal: who closes one is heard of by SIGHUP.
    """
    if sys.stdout is sys.__stdout__:
        sys.stdout = _outliving(sys.stdout, end=end)
    if sys.stderr is sys.__stderr__:
        sys.stderr = _outliving(sys.stderr, end=end)


def _outliving(stream: TextIO | None, *, end: bool) -> Any:
    if not isinstance(stream, io.TextIOWrapper):  # there is none, or it is no file
        return stream
    stream.flush()
    raw = _Outliving(stream.fileno(), end=end)
    return io.TextIOWrapper(
        # with PYTHONUNBUFFERED Python's own has no buffer either
        cast("io.BufferedWriter", raw) if stream.write_through else io.BufferedWriter(raw),
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


class _Outliving(io.FileIO):
    def __init__(self, number: int, *, end: bool) -> None:
        super().__init__(number, "w", closefd=False)
        self._end = end and not self.isatty()

    def write(self, data: "ReadableBuffer", /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            if error.errno not in _NOBODY:
                raise
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, self.fileno())
        os.close(nothing)
        if self._end:
            signal.raise_signal(signal.SIGTERM)
        return super().write(data)


@contextmanager
def unread_stderr() -> Iterator[None]:
    """Whoever writes to stderr inside waits for no reader, where that is a pipe or a socket.

        this process, gRPC's own code ──> pipe ──> a thread, which keeps some ──> stderr as it was

    What is kept at the end has a second.
    """
    mode = os.fstat(_STDERR).st_mode
    if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)):
        yield
        return
    before, ended = os.dup(_STDERR), os.eventfd(0)
    taken, given = os.pipe()
    os.dup2(given, _STDERR)
    os.close(given)
    carrying = threading.Thread(target=_carry, args=(taken, before, ended), daemon=True)
    carrying.start()
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(before, _STDERR)
        os.eventfd_write(ended, 1)
        carrying.join(_LAST_S)


def _carry(taken: int, given: int, ended: int) -> None:
    """Carry from one file to another what comes, until `ended` can be read and all is carried."""
    kept, lost_bytes, ending = bytearray(), 0, False
    poll = select.poll()
    poll.register(taken, select.POLLIN)
    poll.register(ended, select.POLLIN)
    while True:
        if kept:
            poll.register(given, select.POLLOUT)
        ready = {file for file, _ in poll.poll(0 if ending and not kept else None)}
        if taken in ready:
            data = os.read(taken, _READ_BYTES)
            fits = data[: MOST_UNREAD_BYTES - len(kept)]
            kept += fits
            lost_bytes += len(data) - len(fits)
        elif ending and not kept:
            return
        if ended in ready:
            poll.unregister(ended)
            ending = True
        if given in ready:
            poll.unregister(given)
            del kept[: _write(given, kept)]
            if lost_bytes and not kept:
                kept += b"\n(%d bytes of the log were left out: nobody read it)\n" % lost_bytes
                lost_bytes = 0


def _write(file: int, data: bytearray) -> int:
    """Write what surely fits once a file can be written; as if, where nobody is there any more."""
    try:
        return os.write(file, data[: select.PIPE_BUF])
    except OSError:
        return len(data)
