"""Queues that are simulated: frames that come when they are due, stage after stage.

    due ──> queue ──> part 1 ──> encode ──> link ──> decode ──> part 2 ──> result ──> link ──> done

A frame begins a stage when it has left the one before and the frame before it has left this one:
Lindley's recursion (The theory of queues with a single server, 1952), once a stage. A link that it
is encoded for meanwhile is begun as much earlier as that saves.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.intp]
Drop = Literal["none", "newest", "oldest"]


def departures(arrivals: Floats, service: Floats) -> Floats:
    """When each leaves a server that takes them one at a time, in their order; times alike.

    ``departure = max(arrival, departure before) + service``, without the loop: over the last axis.
    """
    worked = np.cumsum(service, axis=-1)
    return np.asarray(worked + np.maximum.accumulate(arrivals - (worked - service), axis=-1))


@dataclass(frozen=True)
class Source:
    """What stands between frames that are due and the first stage.

    At most `in_flight` frames are under way, at most `most` wait; of more, one is dropped.
    """

    in_flight: int
    most: int | None = None
    drop: Drop = "none"


@dataclass(frozen=True)
class Passed:
    """What became of frames, of shape (items, frames): no number of those that were dropped."""

    start: Floats
    done: Floats

    @property
    def dropped(self) -> Floats:
        """The share that was, by item."""
        return np.asarray(np.isnan(self.done).mean(axis=-1))


def passed(
    due: Floats,
    stages: Sequence[Floats],
    besides: Floats,
    source: Source,
    apart: Floats | None = None,
    heard: Floats | None = None,
    early: Sequence[Floats] | None = None,
) -> Passed:
    """Frames that are `due` in order, through `stages` that take each so long, by item.

    In time units of the caller. What a frame takes `besides`, as a link's delay, nobody waits for.
    They begin no closer than `apart`, as where all stages share what does the work. Each is under
    way until its source has `heard` that it is done, so much later. A stage that is free may begin
    so much too `early`, before the one before it has ended.
    """
    items, count = len(besides), len(due)
    start, done = (np.full((items, count), np.nan) for _ in range(2))
    left = [np.full(items, -np.inf) for _ in stages]
    flying = np.full((source.in_flight, items), -np.inf)
    every, at = np.arange(items), np.zeros(items, np.intp)
    opens = np.full(items, -np.inf)
    admitted = _Admission(due, source)
    for take in range(count):
        free = flying[take % source.in_flight]
        at = admitted.next(at, free)
        taken = at < count
        if not taken.any():
            break
        here = np.where(taken, at, count - 1)
        begins = now = np.maximum(due[here], free)
        if apart is not None:
            now = np.maximum(now, opens)
            opens = np.where(taken, now + apart, opens)
        for place, ms in enumerate(stages):
            now = np.maximum(now if early is None else now - early[place], left[place]) + ms
            left[place] = np.where(taken, now, left[place])
        ended = now + besides
        start[every[taken], here[taken]] = begins[taken]
        done[every[taken], here[taken]] = ended[taken]
        known = ended if heard is None else ended + heard
        flying[take % source.in_flight] = np.where(taken, known, free)
        admitted.began(begins)
        at = at + 1
    return Passed(start, done)


class _Admission:
    """Which frame is next, of each item: some were dropped before anyone was free for them."""

    def __init__(self, due: Floats, source: Source) -> None:
        self._due, self._source = due, source
        self._begun: deque[Floats] = deque(maxlen=source.most)
        """When the last frames that may wait at once began."""

    def next(self, at: Places, free: Floats) -> Places:
        """From the frame `at`, where somebody is free at `free`; the count where none is left."""
        most = self._source.most
        if most is None or self._source.drop == "none":
            return at
        if self._source.drop == "oldest":  # of those that wait, the latest are left
            return np.maximum(at, np.searchsorted(self._due, free, side="right") - most)
        if len(self._begun) < most:
            return at
        # the first that is due when one of those that wait has begun
        return np.maximum(at, np.searchsorted(self._due, self._begun[0], side="left"))

    def began(self, begins: Floats) -> None:
        """Of each item, the frame that was next begins then."""
        self._begun.append(begins)
