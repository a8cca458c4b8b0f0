"""How long a run will still take, learned from the cells that it has measured."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import mean

from orchestrator.ask.pace import Pace
from orchestrator.ask.sweep.cell import Cell
from splitbed.codecs import RAW


@dataclass(frozen=True)
class _Planned:
    """A cell, and whether its split is loaded for it, and delivered over its link."""

    cell: Cell
    loads: bool
    delivers: bool

    def wire_s(self, frames: float, kept: float) -> float:
        """Frames of which a codec keeps that share of bytes, and part 1 where it is delivered."""
        delivery_ms = self.cell.delivery_ms if self.delivers else 0.0
        return (frames * self.cell.wire_ms * kept + delivery_ms) / 1e3


@dataclass(frozen=True)
class _Measured:
    """What a cell took beside the wire, in s, its frames, and what its codec left of the bytes."""

    planned: _Planned
    beside_s: float
    frames: int
    kept: float


class TimeLeft:
    """Told as cells begin and end. A cell takes what its like took, and its own time on the wire.

    Like is first a cell of the same split, codec and pace for which as much was
    loaded; then any of the same pace for which as much was; then any.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._todo: list[_Planned] = []
        self._measured: list[_Measured] = []
        self._began_s: float | None = None
        self._frames = self._encoded_bytes = 0

    def begin(self, cells: Sequence[Cell]) -> None:
        """The cells that will be measured, in their order."""
        there: set[object] = set()
        self._todo = []
        for cell in cells:
            split, delivery = cell.configuration.k, (cell.configuration.k, cell.links)
            self._todo.append(_Planned(cell, split not in there, delivery not in there))
            there |= {split, delivery}

    def cell(self) -> None:
        """The next cell begins."""
        self._began_s = self._clock()
        self._frames = self._encoded_bytes = 0

    def frame(self, encoded_bytes: int) -> None:
        """A frame of it was measured."""
        self._frames += 1
        self._encoded_bytes += encoded_bytes

    def done(self) -> None:
        """It ended; one that was not said to come teaches nothing."""
        if not self._todo:
            return
        planned, frames = self._todo.pop(0), self._frames
        if frames and self._began_s is not None:
            raw_bytes = planned.cell.crossing_bytes
            kept = self._encoded_bytes / frames / raw_bytes if raw_bytes else 0.0
            took_s = self._clock() - self._began_s
            beside_s = max(0.0, took_s - planned.wire_s(frames, kept))
            self._measured.append(_Measured(planned, beside_s, frames, kept))
        self._began_s = None

    @property
    def least_s(self) -> float:
        """What the wire alone will take, not counting what a codec is yet to shrink."""
        return sum(
            planned.wire_s(planned.cell.frames, 1.0 if _codec(planned) == RAW else 0.0)
            for planned in self._todo
        )

    @property
    def left_s(self) -> float | None:
        """What is left of the run; None until a cell has been measured."""
        if not self._measured:
            return None
        left_s = [*map(self._cell_s, self._todo)]
        if left_s and self._began_s is not None:
            left_s[0] = max(0.0, left_s[0] - (self._clock() - self._began_s))
        return sum(left_s)

    def _cell_s(self, planned: _Planned) -> float:
        like = self._like(planned)
        same = [one.kept for one in like if _codec(one.planned) == _codec(planned)]
        kept = mean(same or [one.kept for one in like])
        frames = mean(one.frames for one in like)
        return mean(one.beside_s for one in like) + planned.wire_s(frames, kept)

    def _like(self, planned: _Planned) -> list[_Measured]:
        for likeness in _LIKENESSES:
            asked = likeness(planned)
            if found := [one for one in self._measured if likeness(one.planned) == asked]:
                return found
        return self._measured


def _codec(planned: _Planned) -> str:
    return planned.cell.configuration.codec


def _pace(planned: _Planned) -> Pace:
    return planned.cell.configuration.pace


_LIKENESSES: tuple[Callable[[_Planned], object], ...] = (
    lambda one: (one.cell.configuration.k, _codec(one), _pace(one), one.loads),
    lambda one: (one.cell.configuration.k, _pace(one), one.loads),
    lambda one: (_pace(one), one.loads),
)


def duration(seconds: float) -> str:
    """As people say it: 45 s, 3 min 20 s, 2 h 5 min."""
    minutes, left = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {left} s" if minutes else f"{left} s"
