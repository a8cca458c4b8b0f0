"""A sign of life where nobody sees a bar: in a file, a pipe, a log of CI."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Self

from splitbed.command import say

EVERY_S = 10.0


class Heartbeat:
    """Says what is going on when nothing has been said for a while."""

    def __init__(self, say: Callable[[str], None], words: str, every_s: float = EVERY_S) -> None:
        self._say = say
        self._every_s = every_s
        self._began_s = self._told_s = time.monotonic()
        self._words: Callable[[], str] = lambda: words
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def at(self, words: Callable[[], str]) -> None:
        """Something else is going on, which `words` say when they are asked."""
        self._words, self._began_s = words, time.monotonic()

    def told(self) -> None:
        """Something was said by others."""
        self._told_s = time.monotonic()

    def _beat(self) -> None:
        while not self._ended.wait(max(0.0, self._told_s + self._every_s - time.monotonic())):
            now_s = time.monotonic()
            if now_s >= self._told_s + self._every_s:
                self._told_s = now_s
                self._say(f"still at it after {now_s - self._began_s:.0f} s: {self._words()}")


@contextmanager
def alive(words: str, every_s: float = EVERY_S) -> Iterator[Callable[[str], None]]:
    """Says every while that it is still at it, where stderr is no terminal.

    What is yielded says on stderr what is gone on with, which `words` were until then.
    """
    told = partial(say, stderr=True)
    heart = None if sys.stderr.isatty() else Heartbeat(told, words, every_s)

    def goes_on(words: str) -> None:
        told(words)
        if heart:
            heart.told()
            heart.at(lambda: words)

    with heart or nullcontext():
        yield goes_on
