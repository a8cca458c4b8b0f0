"""Runs `orchestrate` in this process, as the command line does."""

import io
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from unittest.mock import patch

from orchestrator.ask.sweep.cell import Visit
from orchestrator.cli.root import app
from orchestrator.measure.racing.again import disturbed_again
from orchestrator.measure.watcher import Watcher
from orchestrator.results.journal import Journal
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

    A signal meanwhile is for the tests, whose process it came to: KeyboardInterrupt. See
    :func:`valid_once`.
    """
    out, err = _Printed(), _Printed()
    try:
        with _as_it_was(), valid_once(), redirect_stdout(out), redirect_stderr(err):
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


def _failed_again(
    visits: Sequence[Visit],
    journal: Journal,
    watcher: Watcher,
    fits: Callable[[Visit], bool] = lambda _: True,
) -> Iterator[Visit]:
    def failed(visit: Visit) -> bool:
        return visit.key not in journal.valid and fits(visit)

    return disturbed_again(visits, journal, watcher, failed)


@contextmanager
def valid_once() -> Iterator[None]:
    """What other tests disturbed and is VALID all the same is not measured again, for some 5 s.

    tests/net/test_disturbed.py shows that a user's is.
    """
    with ExitStack() as patched:
        for module in ("sweep", "racing.visits"):
            name = f"orchestrator.measure.{module}.disturbed_again"
            patched.enter_context(patch(name, _failed_again))
        yield


class _Printed(io.TextIOWrapper):
    """A standard stream that is no terminal, for text and for bytes."""

    def __init__(self) -> None:
        self._bytes = io.BytesIO()
        super().__init__(self._bytes, encoding="utf-8", write_through=True)

    @property
    def text(self) -> str:
        return self._bytes.getvalue().decode()
