"""What a fit has of its frames before it has a step: the principal axes of all, and of halves.

To find them takes most of a fit.  A search for a step fits to the same frames again and again, so
that they are kept for as long as these frames are.
"""

import weakref
from collections.abc import Sequence
from dataclasses import dataclass

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
        together = moments[0].plus(moments[1]) if len(moments) > 1 else moments[0]
        others = tuple(Basis.of(one, weight) for one in moments[::-1])
        return cls(layout, Basis.of(together, weight), others)


def halves(frames: Sequence[Array]) -> tuple[Sequence[Array], ...]:
    """The first half and the second; all of them where there is one."""
    half = len(frames) // 2
    return (frames[:half], frames[half:]) if half else (frames,)


@dataclass(frozen=True)
class Found:
    """The axes of channels, and those of blocks, where a KLT may have these."""

    channels: Axes
    blocks: Axes | None


_found: dict[tuple[object, ...], Found] = {}
"""By the layout, and what stands for the arrays that they were made of, as long as all of these
are."""


def axes_of(layout: Layout, frames: Sequence[Array], sensitivity: Floats | None) -> Found:
    """Those of frames that are weighted so, made once for the same arrays.

    Raises UsageError for a sensitivity that is none.
    """
    arrays = [*frames, *([] if sensitivity is None else [sensitivity])]
    key = layout, len(frames), *map(id, arrays)
    if (found := _found.get(key)) is None:
        weight = roots(sensitivity, layout.channels)
        blocks = None
        if _bears_blocks(layout, len(frames)):
            blocks = Axes.of(layout.by_blocks(JOINT), frames, weight)
        found = _found[key] = Found(Axes.of(layout, frames, weight), blocks)
        for array in arrays:
            weakref.finalize(array, _found.pop, key, None).atexit = False
    return found


def _bears_blocks(layout: Layout, frames: int) -> bool:
    """Whether a KLT may have the places of blocks, too: it needs halves of the frames to judge."""
    few = frames > 1 and layout.channels * JOINT**2 <= MOST_CHANNELS
    whole = all(length % JOINT == 0 for length in layout.plane)
    return few and whole and min(layout.plane) >= BLOCKS_ALONG * JOINT
