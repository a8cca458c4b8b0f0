"""How long a run will still take, learned from the cells that it has measured."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import mean

from netem.spec import LinkSpec
from orchestrator.ask.config import MIN_FRAMES
from orchestrator.ask.grid import Cell

_Likeness = tuple[object, ...]


@dataclass(frozen=True)
class _Measured:
    """What a cell took beside the wire, in s, its frames, and what its codec left of the bytes."""

    cell: Cell
    is_first: bool
    beside_s: float
    frames: int
    kept: float


class TimeLeft:
    """Told as cells begin and end. A cell takes what its like took, and its own time on the wire.

    Like is first a cell of the same split, codec and pace that needed as much brought and loaded;
    then any of the same pace that needed as much; then any.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._todo: list[tuple[Cell, bool]] = []
        self._measured: list[_Measured] = []
        self._began_s: float | None = None
        self._encoded: list[int] = []

    def begin(self, cells: Sequence[Cell]) -> None:
        """The cells that will be measured, in their order."""
        there: set[tuple[int, LinkSpec]] = set()
        self._todo = []
        for cell in cells:
            self._todo.append((cell, (key := (cell.configuration.k, cell.link)) not in there))
            there.add(key)

    def cell(self) -> None:
        """The next cell begins."""
        self._began_s, self._encoded = self._clock(), []

    def frame(self, encoded_bytes: int) -> None:
        """A frame of it was measured."""
        self._encoded.append(encoded_bytes)

    def done(self) -> None:
        """It ended."""
        cell, is_first = self._todo.pop(0)
        frames = len(self._encoded)
        if frames and self._began_s is not None:
            kept = mean(self._encoded) / cell.crossing_bytes if cell.crossing_bytes else 0.0
            wire_s = _wire_s(cell, is_first, frames, kept)
            beside_s = max(0.0, self._clock() - self._began_s - wire_s)
            self._measured.append(_Measured(cell, is_first, beside_s, frames, kept))
        self._began_s = None

    @property
    def least_s(self) -> float:
        """What the wire alone will take, if codecs leave all bytes."""
        return sum(_wire_s(cell, first, MIN_FRAMES, 1.0) for cell, first in self._todo)

    @property
    def left_s(self) -> float | None:
        """What is left of the run; None until a cell has been measured."""
        if not self._measured:
            return None
        left_s = [self._cell_s(cell, first) for cell, first in self._todo]
        if left_s and self._began_s is not None:
            left_s[0] = max(0.0, left_s[0] - (self._clock() - self._began_s))
        return sum(left_s)

    def _cell_s(self, cell: Cell, is_first: bool) -> float:
        like = self._like(cell, is_first)
        kept = [one.kept for one in like if _codec(one.cell) == _codec(cell)] or [1.0]
        frames = mean(one.frames for one in like)
        return mean(one.beside_s for one in like) + _wire_s(cell, is_first, frames, mean(kept))

    def _like(self, cell: Cell, is_first: bool) -> list[_Measured]:
        for likeness in _LIKENESSES:
            asked = likeness(cell, is_first)
            if found := [m for m in self._measured if likeness(m.cell, m.is_first) == asked]:
                return found
        return self._measured


def _codec(cell: Cell) -> str:
    return cell.configuration.codec


_LIKENESSES: tuple[Callable[[Cell, bool], _Likeness], ...] = (
    lambda c, first: (c.configuration.k, c.configuration.codec, c.configuration.pace, first),
    lambda c, first: (c.configuration.k, c.configuration.pace, first),
    lambda c, first: (c.configuration.pace, first),
)


def _wire_s(cell: Cell, is_first: bool, frames: float, kept: float) -> float:
    """Frames, and part 1 where it has not crossed this link before."""
    delivery_ms = cell.delivery_ms if is_first else 0.0
    return (frames * cell.wire_ms * kept + delivery_ms) / 1e3


def duration(seconds: float) -> str:
    """As people say it: 45 s, 3 min 20 s, 2 h 5 min."""
    minutes, left = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {left} s" if minutes else f"{left} s"
