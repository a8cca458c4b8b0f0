"""What is looked at again and again while something else goes on."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread


@contextmanager
def looking(look: Callable[[], None], every_s: float) -> Iterator[None]:
    """Call it so often, in a thread of its own, while one is inside."""
    ended = Event()

    def repeat() -> None:
        while not ended.wait(every_s):
            look()

    thread = Thread(target=repeat)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
