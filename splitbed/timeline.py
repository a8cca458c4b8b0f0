"""The per-frame timeline: when each stage of the pipeline began and ended.

media ──> preprocess ──> part1 ──> encode ──> uplink ──> decode ──> part2 ──> result ──> downlink

That is the flow uplink; others have these in another order, some twice, and hops over more links.
Times are CLOCK_MONOTONIC nanoseconds of the node that did the work. Stages of one frame follow
one another, so their durations add up to the end-to-end time when both nodes share a clock.
Preprocessing is recorded and left out of the end-to-end time (clause 10.2.6).
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from msgspec import Struct

from splitbed.meters.cpu import LEDGER

STAGES = ("preprocess", "part1", "encode", "uplink", "decode", "part2", "result", "downlink")
PREPROCESS, *_COUNTED = STAGES
END_TO_END = tuple(_COUNTED)
WAIT = "wait"
"""Stage of a frame that waits for others; it may come several times."""
NS_PER_MS = 1e6
_AWAKE_NS = 200_000
_TIME_NAMESPACE = Path("/proc/self/ns/time")


def is_hop(name: str) -> bool:
    """Whether a stage is a way between nodes: uplink, downlink; uplink2 over a second link."""
    return name.startswith(("uplink", "downlink"))


def counts_from(names: Sequence[str]) -> int:
    """Where the stages begin that count: behind preprocessing, whatever a frame waited for it."""
    return max((place for place, name in enumerate(names, 1) if name == PREPROCESS), default=0)


def hop_over(way: str, link: int) -> str:
    """The hop that goes a way, uplink or downlink, over a link, the first of which is 0."""
    return f"{way}{link + 1}" if link else way


def way_and_link(hop: str) -> tuple[str, int]:
    """Of a hop, as :func:`hop_over` has them."""
    way = hop.rstrip("0123456789")
    return way, int(hop.removeprefix(way) or 1) - 1


class Stage(Struct, frozen=True, array_like=True, gc=False):
    """One stage of one frame; in JSON, a list of the three."""

    name: str
    start_ns: int
    end_ns: int

    @property
    def ms(self) -> float:
        """Duration in milliseconds."""
        return (self.end_ns - self.start_ns) / NS_PER_MS


@dataclass
class Timeline:
    """The stages of one frame, in the order in which they were recorded."""

    stages: list[Stage] = field(default_factory=list)
    together: int = 0
    """On how many frames its part was run at once, where several UEs share it."""
    spent: dict[str, int] | None = None
    """CPU time of this process by stage, in ns; None where several frames may share it."""
    begin_ns: int = 0
    """When the frame is due, which may be at its station before; what it waits there is no wait."""

    def await_begin(self) -> None:
        """Wait until the frame is due."""
        sleep_until_ns(self.begin_ns)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Record what happens inside as the stage ``name``; nothing when it raises."""
        start_ns = self.begin()
        yield
        self.end(name, start_ns)

    def begin(self) -> int:
        """When a stage begins, which is now; what was computed before it is none of its."""
        start_ns = time.monotonic_ns()
        if self.spent is not None:
            LEDGER.rest(self.spent, start_ns)
        return start_ns

    def end(self, name: str, start_ns: int) -> None:
        """Record a stage that ends now."""
        self.spend(name)
        self.add(name, start_ns, time.monotonic_ns())

    def spend(self, name: str, besides: dict[str, int] | None = None) -> None:
        """Book what was computed since the stage before, or the begin of this one, on it.

        It is spent `besides` what the timeline has, where that is given.
        """
        if self.spent is not None:
            LEDGER.book(self.spent if besides is None else besides, name)

    def mark(self, name: str) -> None:
        """Record a stage in which nothing was done."""
        now_ns = time.monotonic_ns()
        self.add(name, now_ns, now_ns)

    def add(self, name: str, start_ns: int, end_ns: int) -> None:
        """Record a stage whose ends were taken elsewhere."""
        if end_ns >= self.begin_ns:
            self.stages.append(Stage(name, max(start_ns, self.begin_ns), end_ns))

    def ms(self, name: str) -> float:
        """Milliseconds spent in the stages of this name; 0 when there were none."""
        return sum(stage.ms for stage in self.stages if stage.name == name)

    @property
    def crosses(self) -> bool:
        """Whether the frame crossed a link; that of a device anchor may not."""
        return any(is_hop(stage.name) for stage in self.stages)

    @property
    def _counted(self) -> list[Stage]:
        return self.stages[counts_from([stage.name for stage in self.stages]) :]

    @property
    def e2e_ms(self) -> float:
        """From the start of the first counted stage to the end of the last."""
        counted = self._counted
        return (max(s.end_ns for s in counted) - min(s.start_ns for s in counted)) / NS_PER_MS

    @property
    def gap_share(self) -> float:
        """Share of the end-to-end time that no stage accounts for; overlap is counted once."""
        counted = sorted((s.start_ns, s.end_ns) for s in self._counted)
        covered, reached = 0, counted[0][0]
        for start_ns, end_ns in counted:
            covered += max(0, end_ns - max(start_ns, reached))
            reached = max(reached, end_ns)
        return 1 - covered / NS_PER_MS / self.e2e_ms if self.e2e_ms else 0.0


def sleep_until_ns(at_ns: int) -> None:
    """Until CLOCK_MONOTONIC says so; awake at the end, since to wake takes some 0.1 ms."""
    if (asleep_ns := at_ns - _AWAKE_NS - time.monotonic_ns()) > 0:
        time.sleep(asleep_ns / 1e9)
    while time.monotonic_ns() < at_ns:
        pass


def clock_id() -> str:
    """Names this process's CLOCK_MONOTONIC: equal on nodes that share it, and only there."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    try:
        return f"{boot}/{_TIME_NAMESPACE.readlink()}"
    except FileNotFoundError:  # a kernel without time namespaces: all share one clock
        return boot
