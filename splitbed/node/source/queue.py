"""The queue at a source: which frame is next, and which go, by when they are due. Without a clock.

due ──> waits ──┬─ somebody is free ───────> begins
                └─ there is no room ───────> dropped: the newest, or the oldest

Times are what the caller says: they rise. Who is free takes at once what waits, so that nothing is
dropped while anybody is.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Due:
    """A frame, by its place in the schedule, and when it was due."""

    place: int
    due_ns: int


@dataclass
class SourceQueue:
    """Frames that are due at `due_ns`, rising; `most` may wait, and `drop` says which goes then.

    Without times, each of `frames` is due when somebody takes it.
    """

    due_ns: Sequence[int]
    most: int = 1
    drop: str = "none"
    frames: int = 0
    """How many, where no times say it."""
    _next: int = 0
    _free: int = 0
    _waiting: deque[Due] = field(default_factory=deque)
    _dropped: list[tuple[Due, int]] = field(default_factory=list)

    def free(self, now_ns: int) -> None:
        """Somebody is free from now on, and takes as soon as there is one."""
        self._settle(now_ns)
        self._free += 1

    def take(self, now_ns: int) -> Due | None:
        """The frame that somebody who is free begins now; None where none is due yet."""
        self._settle(now_ns)
        if not self.due_ns and self._next < self.frames:
            self._waiting.append(Due(self._next, now_ns))
            self._next += 1
        if not self._waiting:
            return None
        self._free -= 1
        return self._waiting.popleft()

    def take_early(self, now_ns: int) -> Due | None:
        """The next, before it is due, where nobody else can have it: none waits, it comes alone."""
        if self._waiting or (coming := self.next) is None or coming.due_ns <= now_ns:
            return None
        if coming.due_ns in self.due_ns[coming.place + 1 : coming.place + 2]:
            return None
        self._next += 1
        self._free -= 1
        return coming

    def dropped(self, now_ns: int) -> list[tuple[Due, int]]:
        """Those that have gone since this was asked, and when each did."""
        self._settle(now_ns)
        gone, self._dropped = self._dropped, []
        return gone

    @property
    def next(self) -> Due | None:
        """The next to come, which begins when it is due where somebody is free."""
        return None if (due_ns := self.next_ns) is None else Due(self._next, due_ns)

    @property
    def next_ns(self) -> int | None:
        """When the next is due that has not come yet; None after the last."""
        return self.due_ns[self._next] if self._next < len(self.due_ns) else None

    @property
    def ended(self) -> bool:
        """Whether all have come and begun, or gone."""
        return self._next >= (len(self.due_ns) or self.frames) and not self._waiting

    def _settle(self, now_ns: int) -> None:
        """Have all come that are due by now."""
        while (due_ns := self.next_ns) is not None and due_ns <= now_ns:
            self._waiting.append(Due(self._next, due_ns))
            self._next += 1
            # who is free takes one at once: no room is needed for it
            if self.drop != "none" and len(self._waiting) > self.most + self._free:
                goes = self._waiting.pop() if self.drop == "newest" else self._waiting.popleft()
                self._dropped.append((goes, due_ns))
