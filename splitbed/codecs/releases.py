"""What a hop carries, encoded piece by piece while the first is on its way: when it can be across.

Pieces cross in their order. The piece k is across at ``max(when it is there, when the one before
is across) + its time on the wire``, so that the last is at the most, over all k, of ``when k is
there + time on the wire of k and all that follow``: jobs with release dates on one machine.
"""

from collections.abc import Callable, Sequence
from functools import reduce
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from splitbed.timeline import NS_PER_MS

Floats = npt.NDArray[np.float64]
MOST_RELEASES = 64
"""Of a hop: of more, some are told, and a node that tells more is refused."""


class Release(NamedTuple):
    """A piece that a link may have to wait for; in JSON a list of two.

    It is there ``ns`` after the first, of encoding alone; ``bytes`` are its own, and those of all
    that follow.
    """

    ns: int
    bytes: int


def releases_of(made: Sequence[tuple[int, int]]) -> tuple[Release, ...]:
    """Of all pieces, when each was there and its bytes, those that decide when the last is across.

    As bytes take time in proportion, at any rate that is one of the upper hull of `ns` over
    `bytes`: few of them. The last is among them, unless it was there at once. Of more than
    :data:`MOST_RELEASES` some are left out, evenly: the end that is told is a little early then.
    """
    kept, rest = list[Release](), sum(nbytes for _, nbytes in made)
    for ns, nbytes in made:
        one = Release(ns, rest)
        rest -= nbytes
        while len(kept) > 1 and _is_below(kept[-1], kept[-2], one):
            kept.pop()
        kept.append(one)
    late = [one for one in kept if one.ns]
    if len(late) > MOST_RELEASES:
        step = (len(late) - 1) / (MOST_RELEASES - 1)
        late = [late[round(place * step)] for place in range(MOST_RELEASES)]
    return tuple(late)


def _is_below(between: Release, one: Release, other: Release) -> bool:
    """Whether it is on the line from one to the other, or below."""
    rise, run = other.ns - one.ns, one.bytes - other.bytes
    return (between.ns - one.ns) * run <= rise * (one.bytes - between.bytes)


def across_ms(
    releases: Sequence[Release],
    nbytes: int,
    on_wire_ms: Callable[[int], float | Floats],
    pace: float | Floats = 1.0,
) -> Floats:
    """When the last of `nbytes` is across, in ms since the first began to cross.

    Encoding takes `pace` times as long. Of the shape of what bytes take `on_wire_ms`, and the pace.
    """
    floors = (pace * (one.ns / NS_PER_MS) + on_wire_ms(one.bytes) for one in releases)
    return np.asarray(reduce(np.maximum, floors, on_wire_ms(nbytes)))


def encoding_ms(releases: Sequence[Release]) -> float:
    """What encoding takes after the first piece."""
    return releases[-1].ns / NS_PER_MS if releases else 0.0
