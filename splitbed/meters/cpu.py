"""CPU time of this process, by the stages of frames: each nanosecond is booked once.

    end of a stage ──> rest ──> start of the next ──> that stage ──> its end

It is that of all threads (CLOCK_PROCESS_CPUTIME_ID): those that a runtime has of its own are not in
the time of the thread that called it. So it can be told by stage only where frames come one at a
time. The kernel counts a thread that runs on another processor at its ticks, 1 to 10 ms apart: what
it lags behind is booked a stage late, and in none twice.
"""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock

REST = "rest"
"""What a node computes between the stages of its frames."""
_SAME_NS = 20_000
"""A stage that begins so soon after another ended needs no reading of its own."""


@dataclass
class Ledger:
    """Books CPU time; ``read`` tells that of the process so far, in ns.

    A reading takes some microseconds where a process has many threads.
    """

    read: Callable[[], int] = time.process_time_ns
    _lock: Lock = field(default_factory=Lock)
    """Of a frame that goes several ways at once."""

    def __post_init__(self) -> None:
        self._booked_ns = self.read()
        self._at_ns = 0

    def begin(self) -> None:
        """What was computed so far is nobody's."""
        self.book({}, REST)

    @property
    def unbooked_ns(self) -> int:
        """What was computed since the last booking."""
        return self.read() - self._booked_ns

    def rest(self, spent: dict[str, int], now_ns: int) -> None:
        """Book as rest what was computed since the stage before; `now_ns` is CLOCK_MONOTONIC."""
        if now_ns - self._at_ns >= _SAME_NS:
            self.book(spent, REST)

    def book(self, spent: dict[str, int], stage: str) -> None:
        """Book on a stage that ends now, in `spent`, what was computed since the last booking."""
        with self._lock:
            now_ns = self.read()
            passed_ns, self._booked_ns = now_ns - self._booked_ns, now_ns
            spent[stage] = spent.get(stage, 0) + passed_ns
            self._at_ns = time.monotonic_ns()


LEDGER = Ledger()
"""That of this process."""
os.register_at_fork(after_in_child=LEDGER.begin)  # whose time begins at 0
