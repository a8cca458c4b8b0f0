"""Small grey pictures of one shape each, and how they are shared out among UEs.

Every machine gets the same bytes, see :mod:`splitbed.media.dice`; shares are numpy's, of a seed.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt

from splitbed.errors import UsageError
from splitbed.media.dice import Dice, Floats, direction
from splitbed.media.outlines import OUTLINES
from splitbed.tasks.classes import SHAPES

SIDE = 20
NOISE = 24  # grey levels, at most
_TURN = 0.08  # of a whole turn, to either side
HELD_OUT_SEED = 1 << 20
"""Of pictures that nobody trains on; those of training begin at 0."""


Pixels = npt.NDArray[np.uint8]
Places = npt.NDArray[np.int64]


class Samples(NamedTuple):
    """Pictures, UINT8 Nx20x20, and the place of each one's class in ``SHAPES``, INT64 N."""

    pictures: Pixels
    labels: npt.NDArray[np.int64]

    def write(self, file: Path) -> None:
        """As .npz."""
        np.savez(file, pictures=self.pictures, labels=self.labels)

    @classmethod
    def read(cls, file: Path) -> Self:
        """What was written; raises OSError, and ValueError for what is no such file."""
        try:
            with np.load(file, allow_pickle=False) as held:
                return cls(held["pictures"], held["labels"])
        except (KeyError, EOFError) as error:
            raise ValueError(f"{file} has no samples: {error}") from None

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """All of them."""
        pictures, labels = zip(*parts, strict=True)
        return cls(np.concatenate(pictures), np.concatenate(labels))

    def at(self, places: Places) -> Self:
        """Those at these places."""
        return type(self)(self.pictures[places], self.labels[places])


def drawn(count: int, seed: int) -> Samples:
    """So many, each class as often as the next."""
    labels = np.arange(count, dtype=np.int64) % len(SHAPES)
    pictures = [_picture(Dice((seed << 32) + place), int(k)) for place, k in enumerate(labels)]
    return Samples(np.stack(pictures), labels)


def shares(labels: npt.NDArray[np.int64], ues: int, skew: float, seed: int) -> list[Places]:
    """The places that each UE has, all of them once.

    Of each class UEs have parts by Dirichlet's distribution (Hsu et al., 2019): with a ``skew`` of
    100 nearly alike, with 0.1 most classes are on one UE.  None has fewer than one in ten of an
    even share: it takes what it lacks from who has most.
    """
    rng = np.random.default_rng((seed, ues))
    own: list[list[int]] = [[] for _ in range(ues)]
    for label in range(len(SHAPES)):
        places = rng.permutation(np.flatnonzero(labels == label))
        cuts = (np.cumsum(rng.dirichlet([skew] * ues))[:-1] * len(places)).astype(int)
        for part, taken in zip(own, np.split(places, cuts), strict=True):
            part.extend(taken.tolist())
    least = len(labels) // (10 * ues)
    for part in own:
        while len(part) < least:
            part.append(max(own, key=len).pop())
    return [np.sort(np.array(part, np.int64)) for part in own]


def check_shares(count: int, ues: int) -> None:
    """Raise UsageError where so many samples are too few for so many UEs."""
    if count < 10 * ues:
        raise UsageError(f"{count} samples are too few for {ues} UEs: give 10 for each, or more")


def _picture(dice: Dice, label: int) -> Pixels:
    place = np.arange(SIDE, dtype=np.float32) - np.float32((SIDE - 1) / 2)
    radius = np.float32(dice.between(6.5, 9))
    x: Floats = place - np.float32(dice.between(-1, 1))
    y: Floats = place[:, np.newaxis] - np.float32(dice.between(-1, 1))
    across, down = direction(dice.between(-_TURN, _TURN))
    cosine, sine = np.float32(across), np.float32(down)
    u = np.asarray((x * cosine + y * sine) / radius, np.float32)
    v = np.asarray((y * cosine - x * sine) / radius, np.float32)
    inside = np.clip(np.float32(0.5) - OUTLINES[SHAPES[label]](u, v) * radius, 0, 1)
    base = np.float32(dice.between(40, 140))
    paint = np.float32(dice.between(60, 110))
    grain = dice.lattice(SIDE, SIDE) * np.float32(NOISE)
    grey: Pixels = np.clip(base + paint * inside + grain, 0, 255).astype(np.uint8)
    return grey
