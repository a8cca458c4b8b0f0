"""Flows: stations in order, from the source to where the result is wanted, and hops between them.

[source] or [decode] ──> [layers first..last] ──> [result] ──> [encode] ── hop ──> the next station

What is in brackets may be absent. A frame follows an itinerary: a flow of one cut and its codecs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple


class Span(NamedTuple):
    """Layers, the first up to the last, which is not among them.

    Of the last ones, a *head* has those alone that make some of the model's ``outputs``: these by
    their places among all; none told are all. They are cut from the model, unless a ``version`` is
    told: the same layers in a file of their own, such as another precision's.
    """

    first: int
    last: int
    outputs: tuple[int, ...] = ()
    version: str = ""


DEVICE = "device"
"""The version of all layers that a UE runs as the device anchor, where that is its own model."""

RESULT_CODEC = "raw"
"""What carries results."""


@dataclass(frozen=True)
class Station:
    """A node, and what it does with a frame, in this order.

    Layers ``first`` up to ``last`` run here; where they are equal nothing is computed. ``gives``
    is the codec of the hop that follows, empty at the last station: what a station takes is what
    the one before it gives. ``part`` is the number of the part in the split, 0 where the split
    has none here; a part may be of no layers. ``outputs`` are those of a head, ``version`` the
    file of its layers, as a :class:`Span` has them.
    """

    node: str
    first: int = 0
    last: int = 0
    source: bool = False
    result: bool = False
    gives: str = ""
    part: int = 0
    outputs: tuple[int, ...] = ()
    version: str = ""

    @property
    def span(self) -> Span:
        """Its layers."""
        return Span(self.first, self.last, self.outputs, self.version)


Itinerary = tuple[Station, ...]


def hops(itinerary: Sequence[Station]) -> tuple[tuple[Station, Station], ...]:
    """Each hop: the station that sends, and the one that receives."""
    return tuple(pairwise(itinerary))
