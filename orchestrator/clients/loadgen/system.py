"""The pair as LoadGen's system under test: what it asks for waits here until a thread is free.

LoadGen ──issue──> waiting ──> a thread that is free runs its frame ──> LoadGen is told
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Thread
from typing import NamedTuple

from orchestrator.results.json_record import Record
from splitbed.v1 import nodes_pb2


@dataclass(frozen=True)
class Sample:
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
    issued_ns: int
    tell: "Tell"


Tell = Callable[[int], None]
"""Tells LoadGen of a sample that is done, by its name."""
Run = Callable[[int], nodes_pb2.FrameRecord]
"""Takes a frame of an input, by its place, through the pair; from several threads at once."""


class SystemUnderTest:
    """Takes samples through `run`, `in_flight` at once, until a frame has ``failed``."""

    def __init__(self, run: Run, in_flight: int = 1) -> None:
        self._run = run
        self._waiting: SimpleQueue[_Waiting | None] = SimpleQueue()
        self._queries = 0
        self.asked: list[AskedSample] = []
        """Those that were answered, in that order."""
        self.records: list[tuple[int, nodes_pb2.FrameRecord]] = []
        """What was said of those whose frame came to its end, behind their input."""
        self.failed: Exception | None = None
        self._threads = [Thread(target=self._work, daemon=True) for _ in range(in_flight)]
        for thread in self._threads:
            thread.start()

    def issue(self, query: Sequence[Sample], tell: Tell) -> None:
        """Take a query, whose samples are not waited for; each that is done is told."""
        issued_ns = time.monotonic_ns()
        for sample in query:
            self._waiting.put(_Waiting(sample, self._queries, issued_ns, tell))
        self._queries += 1

    def end(self) -> None:
        """Wait for what was issued; once a frame has failed the others are left."""
        for _ in self._threads:
            self._waiting.put(None)
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while (one := self._waiting.get()) is not None:
            if self.failed is None:
                self._take(one)

    def _take(self, one: _Waiting) -> None:
        place = one.sample.index
        try:
            said = self._run(place)
        except Exception as error:  # whatever it is, LoadGen would wait for it for ever
            self.failed = self.failed or error
            return
        answered_ns = time.monotonic_ns()
        self.records.append((place, said))
        self.asked.append(
            AskedSample(
                query=one.query,
                input=place,
                frame=said.frame,
                issued_ns=one.issued_ns,
                answered_ns=answered_ns,
            )
        )
        one.tell(one.sample.id)
