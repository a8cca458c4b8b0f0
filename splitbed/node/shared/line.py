"""Who is next where a node runs parts for several UEs. Pure: its clock is whoever asks it.

came ──> a line of each UE ──> UEs by turns, frames for the same part together ──> taken ──> done
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Generic, TypeVar


@dataclass(frozen=True)
class Sharing:
    """How a node shares what it computes with: ``workers`` run a part at once.

    A part is run on ``most`` frames together at most; the first of them waits ``wait_ns`` for
    others, where there are fewer.
    """

    workers: int = 1
    most: int = 1
    wait_ns: int = 0


@dataclass(eq=False)
class Waiting:
    """A frame of ``ue`` that came at ``came_ns`` for what ``part`` names."""

    ue: str
    part: object
    came_ns: int
    sharing: Sharing

    @property
    def due_ns(self) -> int:
        """When it waits for no others any more."""
        return self.came_ns + self.sharing.wait_ns


_Frame = TypeVar("_Frame", bound=Waiting)


@dataclass
class Line(Generic[_Frame]):
    """Frames that wait: of a UE taken in order, of UEs by turns, however many each has sent."""

    _lines: dict[str, deque[_Frame]] = field(default_factory=dict)
    """Of UEs that have any; whose turn it is comes first."""
    _running: int = 0

    def come(self, frame: _Frame) -> None:
        """A frame has come."""
        self._lines.setdefault(frame.ue, deque()).append(frame)

    def leave(self, frame: _Frame) -> None:
        """A frame that waits does so no more."""
        self._lines[frame.ue].remove(frame)
        if not self._lines[frame.ue]:
            del self._lines[frame.ue]

    def take(self, now_ns: int) -> Sequence[_Frame]:
        """Those that are to be run now, together; none where nothing is due, or no worker free."""
        for first in [line[0] for line in self._lines.values()]:
            if self._running >= first.sharing.workers:
                return ()
            together = self._together(first)
            full = len(together) >= first.sharing.most
            if full or now_ns >= min(one.due_ns for one in together):
                for one in together:
                    self.leave(one)
                for ue in dict.fromkeys(one.ue for one in together):  # had their turns
                    if ue in self._lines:
                        self._lines[ue] = self._lines.pop(ue)
                self._running += 1
                return together
        return ()

    def done(self) -> None:
        """Some that were taken together are done, or failed."""
        self._running -= 1

    def _together(self, first: _Frame) -> list[_Frame]:
        """The first of a line, and what waits for the same: one of each UE by turns, in order."""
        ways: list[Iterator[_Frame]] = []
        for line in self._lines.values():
            if line[0].part == first.part and line[0].sharing == first.sharing:
                _, alike = next(groupby(line, lambda one: (one.part, one.sharing)))
                ways.append(alike)
        found: list[_Frame] = []
        while ways:
            for way in [*ways]:
                if len(found) == first.sharing.most:
                    return found
                if (one := next(way, None)) is None:
                    ways.remove(way)
                else:
                    found.append(one)
        return found
