"""Ctrl-C and other signals that end a run, taken where nothing is half done.

An exception in the middle of gRPC's bookkeeping can leave a call that nobody ends, and then a
channel that never closes. So a signal only ends the nodes, upon which whatever is asked of them
fails at once; the exception is raised by `check`, at places that bear it.
"""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event
from types import FrameType

from splitbed.ending import SIGNALS
from splitbed.errors import NodeError

_SIGNALS = (signal.SIGINT, *SIGNALS)


class Interruption:
    """Whether the user has asked to stop."""

    def __init__(self) -> None:
        self._asked = False
        self._told: Event | None = None

    def check(self) -> None:
        """Raise KeyboardInterrupt when the user has asked to stop."""
        if self._asked:
            raise KeyboardInterrupt

    @contextmanager
    def told(self) -> Iterator[Event]:
        """What the first signal sets inside, in place of ending anything; for the main thread."""
        self._told = told = Event()
        try:
            yield told
        finally:
            self._told = None

    @contextmanager
    def watched(self, end_nodes: Callable[[], None]) -> Iterator[None]:
        """Take the signals inside; a NodeError that an interruption caused is that interruption."""

        def take(_signal: int, _frame: FrameType | None) -> None:
            if self._told is not None and not self._told.is_set():
                self._told.set()
                return
            self._asked = True
            end_nodes()

        # a signal that this process was started to ignore stays ignored; the main thread has them
        here = threading.current_thread() is threading.main_thread()
        taken = [n for n in _SIGNALS if here and signal.getsignal(n) != signal.SIG_IGN]
        before = {number: signal.signal(number, take) for number in taken}
        try:
            yield
        except NodeError:
            self.check()
            raise
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
