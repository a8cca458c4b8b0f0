"""Levels as symbols, in four steps: which groups have any, what is not 0, what is large, how large.

A step is about what the one before leaves.  Classes stand one after another in all of them.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from splitbed.codecs.stage import Floats

Integers = npt.NDArray[np.int32]
Places = npt.NDArray[np.intp]
Counts = list[int]

GROUP = 8
"""What share a mask."""
BEYOND = 2
"""The first magnitude that is a value."""


@dataclass(frozen=True)
class Coded:
    """Levels as symbols: those of each step, and how many of them each class has.

    ``symbols`` of the last step are values without an end, ``negative`` is of all that is not 0.
    """

    symbols: tuple[Integers, Integers, Integers, Integers]
    counts: tuple[Counts, Counts, Counts, Counts]
    negative: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, levels: Floats, ends: Places) -> "Coded":
        """Of whole numbers in order, whose classes end at these groups."""
        flags = levels != 0
        which = np.packbits(flags)
        filled = which != 0
        groups, of_groups = taken(filled, ends)
        at, of_found = taken(flags, ends * GROUP)
        found = levels.take(at)
        size = np.abs(found).astype(np.int32)
        large, of_large = taken(beyond := size >= BEYOND, of_found)
        return cls(
            (
                np.packbits(filled).astype(np.int32),
                which.take(groups).astype(np.int32),
                np.packbits(beyond).astype(np.int32),
                size.take(large) - np.int32(BEYOND),
            ),
            (
                counts_of(groups_of(ends)),
                counts_of(of_groups),
                counts_of(groups_of(of_found)),
                counts_of(of_large),
            ),
            found < 0,
        )


def groups_of(ends: Places) -> Places:
    """Where classes end in groups; one that two share is of the first."""
    return -(-ends // GROUP)


def taken(flags: npt.NDArray[np.bool_], ends: Places) -> tuple[Places, Places]:
    """The places of those that are set, and where classes end among them."""
    at = np.flatnonzero(flags)
    return at, at.searchsorted(ends)


def counts_of(ends: Places) -> Counts:
    """How many each class has."""
    found: Counts = ends.tolist()
    return [end - start for start, end in zip([0, *found], found, strict=False)]
