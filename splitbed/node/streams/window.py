"""When a frame may follow others on a link: as the last of them leaves, so that it never idles.

Frames that come earlier wait where they can be dropped, and not in sockets. Where a link is slower
than is known, what it holds and one frame more is on its way: a frame is, until the other end says
that it has arrived whole.
"""

from dataclasses import dataclass, field
from threading import Lock

LEAST_BYTES = 10 * 1448
"""Smaller frames are not counted: TCP sends as much before it hears of its peer (RFC 6928)."""

_LEAD_S = 0.01
"""So much earlier, for what a thread takes to wake up on a busy machine."""
_ON_WIRE = 1514 / 1448
"""Bytes of an Ethernet frame, which rates count, to those of a segment with timestamps in it."""


@dataclass
class Window:
    """Of one direction of a stream; several threads may use it. Whoever asks has the clock."""

    _on_way: dict[tuple[int, int], int] = field(default_factory=dict)
    """Bytes of frames that have not arrived, by assignment and number."""
    _free_s: float = 0.0
    """When all of them will have left, by the rate of the link."""
    _lock: Lock = field(default_factory=Lock)

    def early_s(self, now_s: float) -> float:
        """How much too early a frame would be; not above 0 where it may be sent."""
        return self._free_s - _LEAD_S - now_s

    def enter(
        self, key: tuple[int, int], nbytes: int, rate_mbit: float, rtt_ms: float, now_s: float
    ) -> bool:
        """Count a frame as on its way, by assignment and number, if it can be; whether it was."""
        with self._lock:
            on_way = self._on_way.values()
            if sum(on_way) > rate_mbit * rtt_ms * 125 + max(on_way, default=0):
                return False
            self._count(key, nbytes, rate_mbit, now_s)
            return True

    def add(self, key: tuple[int, int], nbytes: int, rate_mbit: float, now_s: float) -> None:
        """So much more of a frame that has entered is on its way."""
        with self._lock:
            self._count(key, nbytes, rate_mbit, now_s)

    def _count(self, key: tuple[int, int], nbytes: int, rate_mbit: float, now_s: float) -> None:
        self._on_way[key] = self._on_way.get(key, 0) + nbytes
        self._free_s = max(self._free_s, now_s) + nbytes * _ON_WIRE / (rate_mbit * 125e3)

    def arrived(self, assignment: int, frame: int) -> None:
        """It is at the other end, whole."""
        with self._lock:
            self._on_way.pop((assignment, frame), None)
