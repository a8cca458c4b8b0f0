"""Runs `orchestrate` in this process, as the command line does."""

import io
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass

from orchestrator.cli.root import app
from splitbed.command import run_command_line
from splitbed.ending import SIGNALS
from splitbed.errors import INTERRUPTED


@dataclass(frozen=True)
class Ended:
    """How a command ended and what it printed."""

    code: int
    out: str
    err: str


def orchestrate(*words: str) -> Ended:
    """Run `orchestrate` with these words.

    A signal meanwhile is for the tests, whose process it came to: KeyboardInterrupt.
    """
    out, err = _Printed(), _Printed()
    try:
        with _as_it_was(), redirect_stdout(out), redirect_stderr(err):
            sys.argv = ["orchestrate", *words]
            run_command_line(app)
        code = 0
    except SystemExit as ended:
        code = int(ended.code or 0)
    if code == INTERRUPTED:
        raise KeyboardInterrupt
    return Ended(code, out.text, err.text)


@contextmanager
def _as_it_was() -> Iterator[None]:
    """What a command makes of its process, which would end with it, is undone."""
    argv, path = sys.argv, os.environ["PATH"]
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    handlers = {number: signal.getsignal(number) for number in SIGNALS}
    try:
        yield
    finally:
        sys.argv, os.environ["PATH"] = argv, path
        for number, handler in handlers.items():
            signal.signal(number, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


class _Printed(io.TextIOWrapper):
    """A standard stream that is no terminal, for text and for bytes."""

    def __init__(self) -> None:
        self._bytes = io.BytesIO()
        super().__init__(self._bytes, encoding="utf-8", write_through=True)

    @property
    def text(self) -> str:
        return self._bytes.getvalue().decode()
