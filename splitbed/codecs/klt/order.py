"""In which order coefficients are coded: by groups, class after class of like magnitude.

Of a difference to the frame before, change stays about where it was: the more levels of a block
were not 0 in that frame, the greater are those of this one.  Both ends know how many they were, and
lift the block's classes by it.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from splitbed.codecs.klt.symbols import Places
from splitbed.codecs.stage import Floats

Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Order:
    """Groups x GROUP coefficients among ``size``, and after which group each class ends.

    One group, the ``short``, may have fewer: what it has too many are ``size``.
    """

    size: int
    rows: Places
    ends: Places
    short: int | None

    def of(self, levels: Floats) -> Floats:
        """The levels in that order; 0 where there is none."""
        found = levels.take(self.rows, mode="clip")
        if self.short is not None:
            found[self.short][self.rows[self.short] == self.size] = 0
        return found.ravel()


@dataclass(frozen=True)
class Groups:
    """``rows`` as of an order, each with its class and its block, which are those of its first.

    There are ``count`` classes, lifted ones among them.

    The classes of a block are lifted by as many as there are ``bounds`` up to how many of its
    levels were not 0 in the frame before; by ``usual`` where that is not known.
    """

    size: int
    rows: Places
    classes: Bytes
    blocks: Places
    count: int
    bounds: Places
    usual: int = 0

    def order(self, active: Places | None = None) -> Order:
        """That of a frame before which so many levels of each block were not 0."""
        if not self.bounds.size:
            return self._fixed
        classes = self.classes + np.uint8(self.usual)
        if active is not None:
            lifts = self.bounds.searchsorted(active, side="right").astype(np.uint8)
            classes = self.classes + lifts.take(self.blocks)
        return self._by(classes)

    @cached_property
    def _fixed(self) -> Order:
        return self._by(self.classes)

    @cached_property
    def _is_short(self) -> bool:
        return bool(self.rows.size) and int(self.rows[-1, -1]) == self.size

    def _by(self, classes: Bytes) -> Order:
        turned = classes.argsort(kind="stable")
        ends = np.bincount(classes, minlength=self.count).cumsum()
        short = int(turned.argmax()) if self._is_short else None
        return Order(self.size, self.rows.take(turned, axis=0), ends, short)
