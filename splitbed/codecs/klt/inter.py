"""A frame by the one before: what each end holds of it, in coefficients."""

import numpy as np

from splitbed.codecs.klt.basis import Doubles
from splitbed.codecs.klt.symbols import Places
from splitbed.codecs.klt.transform import MOST_LEVEL, Transform
from splitbed.codecs.stage import Array, Floats

ALONE, DIFFERENCE = range(2)
"""How a frame is coded: which codebook its levels have."""
DEAD = np.float32(0.15)
"""What a difference is less by before it is rounded: a small one costs more bits than it is worth,
and is there in the next frame again, if it is no noise."""


class Before:
    """The coefficients of the frame before, as its decoder has them; nothing before the first.

    Of each, ``factors`` (components x frequencies) foresee their share of it.  What both ends hold
    is made of the same numbers by the same additions and products of FP32, element by element: they
    hold the same.
    """

    def __init__(self, transform: Transform, factors: Floats) -> None:
        planes = factors[:, transform.dct.frequency.ravel()]
        self._factors = np.tile(planes, transform.layout.planes).reshape(transform.shape)
        self._blocks = transform.blocks
        self.held: Floats | None = None
        self.active: Places | None = None
        """Of each block, how many levels were not 0, where they were of a difference."""

    def forget(self) -> None:
        """Hold nothing: the frame is not made of coefficients."""
        self.held = self.active = None

    def levels(self, coefficients: Floats) -> tuple[int, Floats]:
        """How the frame is coded, and its levels; the frame is what is held then."""
        how, levels = ALONE, np.rint(coefficients)
        foreseen = self._foreseen()
        if foreseen is not None:
            difference = coefficients - foreseen
            difference -= np.clip(difference, -DEAD, DEAD)
            size = np.abs(np.rint(difference, out=difference))
            if size.max(initial=0) <= MOST_LEVEL and size.sum() < np.abs(levels).sum():
                how, levels = DIFFERENCE, difference
        self._hold(how, levels, foreseen)
        return how, levels

    def coefficients(self, how: int, levels: Floats) -> Floats:
        """Of the frame of these levels, which is held then."""
        return self._hold(how, levels, self._foreseen() if how == DIFFERENCE else None)

    def _foreseen(self) -> Floats | None:
        return None if self.held is None else self._factors * self.held

    def _hold(self, how: int, levels: Floats, foreseen: Floats | None) -> Floats:
        self.held, self.active = levels, None
        if how == DIFFERENCE and foreseen is not None:
            self.active = block_sums(levels != 0, self._blocks).astype(np.intp)
            self.held = levels + foreseen
        return self.held


def block_sums(values: Array, blocks: Places) -> Doubles:
    """Of components x places, the sum of each block."""
    return np.asarray(np.bincount(blocks, weights=values.sum(axis=0)), np.float64)
