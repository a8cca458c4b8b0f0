"""Inferences that go on, one after another, while something else is done."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Condition, Event, Thread


class Inferring:
    """Has ``infer`` called again and again, in a thread of its own."""

    def __init__(self, infer: Callable[[], None]) -> None:
        self._infer, self._ended, self._told = infer, Event(), Condition()
        self.count = 0
        self._error: BaseException | None = None

    @contextmanager
    def going_on(self) -> Iterator[None]:
        """While this is open; raises what an inference raised, NodeError where it failed."""
        thread = Thread(target=self._run, name="inferring", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._ended.set()
            thread.join()
        self._check()

    def until(self, done: Callable[[], bool]) -> None:
        """Wait until ``done``, which is asked after each; raises what an inference raised."""
        with self._told:
            self._told.wait_for(lambda: self._error is not None or done())
        self._check()

    def _check(self) -> None:
        if self._error:
            raise self._error

    def _run(self) -> None:
        try:
            while not self._ended.is_set():
                self._infer()
                with self._told:
                    self.count += 1
                    self._told.notify_all()
        except BaseException as error:  # KeyboardInterrupt, too: who waits is to have it
            with self._told:
                self._error = error
                self._told.notify_all()
