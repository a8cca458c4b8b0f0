"""What a fit has of its frames before it has a step: the principal axes of all, and of halves.

To find them takes most of a fit.  A search for a step fits to the same frames again and again, so
that they are kept for as long as these frames are.
"""

import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from splitbed.codecs.klt.basis import Basis, Doubles, Moments, roots
from splitbed.codecs.klt.transform import JOINT, MOST_CHANNELS, Layout
from splitbed.codecs.stage import Array, Floats

BLOCKS_ALONG = 3
"""Blocks need planes of so many of them either way."""


@dataclass(frozen=True)
class Axes:
    """Of frames of a layout: ``whole`` of all of them, ``others`` of what is not in each half.

    Of a single frame there is one half, and it is not unseen.
    """

    layout: Layout
    whole: Basis
    others: tuple[Basis, ...]

    @classmethod
    def of(cls, layout: Layout, frames: Sequence[Array], weight: tuple[Doubles, Doubles]) -> "Axes":
        """With the roots of the sensitivity."""
        origin = np.asarray(layout.apart(frames[0]).mean(axis=1, dtype=np.float64))
        moments = [Moments.of(layout, one, origin) for one in halves(frames)]
        others = tuple(Basis.of(one, weight) for one in moments[::-1])
        if len(moments) == 1:
            return cls(layout, others[0], others)
        return cls(layout, Basis.of(moments[0].plus(moments[1]), weight), others)


def halves(frames: Sequence[Array]) -> tuple[Sequence[Array], ...]:
    """The first half and the second; all of them where there is one."""
    half = len(frames) // 2
    return (frames[:half], frames[half:]) if half else (frames,)


@dataclass(frozen=True)
class Found:
    """The axes of channels, and those of blocks, where a KLT may have these."""

    channels: Axes
    blocks: Axes | None


Made = TypeVar("Made")


class Lasting(Generic[Made]):
    """What was made of arrays, for as long as all of these are."""

    def __init__(self) -> None:
        self._made: dict[tuple[object, ...], Made] = {}
        """By what was said of it, and what stands for the arrays."""

    def of(self, *said: object, arrays: Sequence[Array], make: Callable[[], Made]) -> Made:
        """What was made of these arrays, of which the same was said, or is made now."""
        key = *said, *map(id, arrays)
        if key not in self._made:
            self._made[key] = make()
            for array in arrays:
                weakref.finalize(array, self._made.pop, key, None).atexit = False
        return self._made[key]


_found = Lasting[Found]()


def axes_of(layout: Layout, frames: Sequence[Array], sensitivity: Floats | None) -> Found:
    """Those of frames that are weighted so, made once for the same arrays.

    Raises UsageError for a sensitivity that is none.
    """
    arrays = [*frames, *([] if sensitivity is None else [sensitivity])]

    def make() -> Found:
        weight = roots(sensitivity, layout.channels)
        blocks = None
        if _bears_blocks(layout, len(frames)):
            blocks = Axes.of(layout.by_blocks(JOINT), frames, weight)
        return Found(Axes.of(layout, frames, weight), blocks)

    return _found.of(layout, len(frames), arrays=arrays, make=make)


def _bears_blocks(layout: Layout, frames: int) -> bool:
    """Whether a KLT may have the places of blocks, too: it needs halves of the frames to judge."""
    few = frames > 1 and layout.channels * JOINT**2 <= MOST_CHANNELS
    whole = all(length % JOINT == 0 for length in layout.plane)
    return few and whole and min(layout.plane) >= BLOCKS_ALONG * JOINT
