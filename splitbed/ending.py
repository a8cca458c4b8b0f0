"""What ends a command from outside, beside Ctrl-C: signals, and output that nobody reads."""

import errno
import io
import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
"""They end a command as Ctrl-C does, but one that it was started to ignore, as nohup has it."""

_NOBODY = (errno.EPIPE, errno.EIO)


def take_signals(handler: Callable[[int, FrameType | None], None]) -> None:
    """Have `handler` called for SIGNALS, and SIGTERM sent for a SIGPIPE of another process."""
    for number in SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, handler)
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
    return io.TextIOWrapper(
        io.BufferedWriter(_Outliving(stream.fileno(), end=end)),
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
