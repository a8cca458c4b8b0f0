"""The pair as LoadGen's system under test: what it asks for waits here, and is taken in order.

LoadGen ──issue──> waiting ──> a thread takes one, runs its frame ──> LoadGen is told
"""

import time
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from threading import Thread
from typing import NamedTuple, Protocol

from orchestrator.results.json_record import Record
from splitbed.errors import SplitbedError
from splitbed.v1 import nodes_pb2


class Sample(Protocol):
    """What LoadGen asks for: an input by its index, and by which name it wants to be told."""

    id: int
    index: int


class AskedSample(Record, frozen=True, kw_only=True, gc=False):
    """A sample that LoadGen asked for, in its query: when that was issued here, and answered.

    Times are of this machine's CLOCK_MONOTONIC.
    """

    query: int
    input: int
    frame: int
    issued_ns: int
    answered_ns: int


class _Waiting(NamedTuple):
    sample: Sample
    query: int
    frame: int
    issued_ns: int


Run = Callable[[int, int], nodes_pb2.FrameRecord]
"""Takes a frame of an input, by both numbers, through the pair."""


class SystemUnderTest:
    """Takes samples one after another through `run`; `tell` tells LoadGen of one by its name.

    Once a frame has ``failed`` LoadGen is told of the others at once, so that it comes to its end.
    """

    def __init__(self, run: Run, tell: Callable[[int], None]) -> None:
        self._run, self._tell = run, tell
        self._waiting: SimpleQueue[_Waiting | None] = SimpleQueue()
        self._queries = self._frames = 0
        self.asked: list[AskedSample] = []
        """Those that were answered, in that order."""
        self.records: list[tuple[int, nodes_pb2.FrameRecord]] = []
        """What was said of those whose frame came to its end, behind their input."""
        self.failed: SplitbedError | None = None
        self._thread = Thread(target=self._work, daemon=True)
        self._thread.start()

    def issue(self, query: Sequence[Sample]) -> None:
        """Take a query; LoadGen calls it, and does not wait for its samples."""
        issued_ns = time.monotonic_ns()
        for sample in query:
            self._waiting.put(_Waiting(sample, self._queries, self._frames, issued_ns))
            self._frames += 1
        self._queries += 1

    def flush(self) -> None:
        """LoadGen has no more for now; nothing is held back here."""

    def end(self) -> None:
        """Wait for what was issued."""
        self._waiting.put(None)
        self._thread.join()

    def _work(self) -> None:
        while (one := self._waiting.get()) is not None:
            index = one.sample.index
            if self.failed is None:
                try:
                    self.records.append((index, self._run(one.frame, index)))
                except SplitbedError as error:
                    self.failed = error
            answered_ns = time.monotonic_ns()
            self._tell(one.sample.id)
            if self.failed is None:
                self.asked.append(
                    AskedSample(
                        query=one.query,
                        input=index,
                        frame=one.frame,
                        issued_ns=one.issued_ns,
                        answered_ns=answered_ns,
                    )
                )
