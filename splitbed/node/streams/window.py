"""How much is on its way over a link: what it holds, and one frame more, so that it never idles.

What is beyond that waits where it can be dropped, and not in sockets. A frame is on its way until
the other end says that it has arrived whole.
"""

from dataclasses import dataclass, field
from threading import Lock

LEAST_BYTES = 10 * 1448
"""Smaller frames are not counted: TCP sends as much before it hears of its peer (RFC 6928)."""


@dataclass
class Window:
    """Of one direction of a stream; several threads may use it."""

    _on_way: dict[tuple[int, int], int] = field(default_factory=dict)
    """Bytes of frames that have not arrived, by assignment and number."""
    _lock: Lock = field(default_factory=Lock)

    def enter(self, assignment: int, frame: int, nbytes: int, holds_bytes: float) -> bool:
        """Count a frame as on its way, if the link can take it now; whether it was counted.

        ``holds_bytes`` is rate times round trip of the link.
        """
        with self._lock:
            on_way = self._on_way.values()
            if sum(on_way) > holds_bytes + max(on_way, default=0):
                return False
            self._on_way[assignment, frame] = nbytes
            return True

    def arrived(self, assignment: int, frame: int) -> None:
        """It is at the other end, whole."""
        with self._lock:
            self._on_way.pop((assignment, frame), None)


def holds(rate_mbit: float, rtt_ms: float) -> float:
    """Bytes on a link that is never idle."""
    return rate_mbit * rtt_ms * 125
