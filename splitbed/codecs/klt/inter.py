"""A frame by the one before: what each end holds of it, in coefficients."""

import numpy as np

from splitbed.codecs.klt.basis import Doubles
from splitbed.codecs.klt.symbols import Places
from splitbed.codecs.klt.transform import MOST_LEVEL, Transform
from splitbed.codecs.stage import Array, Floats
from splitbed.errors import NodeError

ALONE, DIFFERENCE = range(2)
"""How a frame is coded: which codebook its levels have."""
DEAD = np.float32(0.15)
"""What a difference is less by before it is rounded: a small one costs more bits than it is worth,
and is there in the next frame again, if it is no noise."""
MOST_HELD = 2 * MOST_LEVEL
"""More than coefficients come to, of a frame that an encoder codes by the one before."""


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
        self._hold(levels, foreseen if how == DIFFERENCE else None)
        return how, levels

    def coefficients(self, how: int, levels: Floats) -> Floats:
        """Of the frame of these levels, which is held then.

        NodeError for levels that no encoder made: what was held is held on.
        """
        return self._hold(levels, self._foreseen() if how == DIFFERENCE else None)

    def check(self, how: int) -> None:
        """NodeError where a frame cannot be coded so, as none is held."""
        if how == DIFFERENCE and self.held is None:
            raise NodeError("a frame is by the one before, and there is none: it is damaged")

    def _foreseen(self) -> Floats | None:
        return None if self.held is None else self._factors * self.held

    def _hold(self, levels: Floats, foreseen: Floats | None) -> Floats:
        held, active = levels, None
        if foreseen is not None:
            held = levels + foreseen
            if max(held.max(initial=0), -held.min(initial=0)) > MOST_HELD:
                raise NodeError(f"a frame comes to more than {MOST_HELD} steps: it is damaged")
            active = block_sums(levels != 0, self._blocks).astype(np.intp)
        self.held, self.active = held, active
        return held


def block_sums(values: Array, blocks: Places) -> Doubles:
    """Of components x places, the sum of each block."""
    return np.asarray(np.bincount(blocks, weights=values.sum(axis=0)), np.float64)
