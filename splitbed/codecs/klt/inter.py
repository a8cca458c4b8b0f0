"""A frame by the one before: what each end holds of it, in coefficients."""

import numpy as np

from splitbed.codecs.klt.transform import MOST_LEVEL, Transform
from splitbed.codecs.stage import Floats

ALONE, DIFFERENCE = range(2)
"""How a frame is coded: which codebook its levels have."""


class Before:
    """The coefficients of the frame before, as its decoder has them; nothing before the first.

    Of each, ``factors`` (components x frequencies) foresee their share of it.  What both ends hold
    is made of the same numbers by the same additions and products of FP32, element by element: they
    hold the same.
    """

    def __init__(self, transform: Transform, factors: Floats) -> None:
        planes = factors[:, transform.dct.frequency.ravel()]
        self._factors = np.tile(planes, transform.layout.planes).reshape(transform.shape)
        self._held: Floats | None = None

    def forget(self) -> None:
        """Hold nothing: the frame is not made of coefficients."""
        self._held = None

    def levels(self, coefficients: Floats) -> tuple[int, Floats]:
        """How the frame is coded, and its levels; the frame is what is held then."""
        how, levels = ALONE, np.rint(coefficients)
        if self._held is not None:
            difference = np.rint(coefficients - self._factors * self._held)
            size = np.abs(difference)
            if size.max(initial=0) <= MOST_LEVEL and size.sum() < np.abs(levels).sum():
                how, levels = DIFFERENCE, difference
        self.coefficients(how, levels)
        return how, levels

    def coefficients(self, how: int, levels: Floats) -> Floats:
        """Of the frame of these levels, which is held then."""
        if how == DIFFERENCE and self._held is not None:
            levels = levels + self._factors * self._held
        self._held = levels
        return levels
