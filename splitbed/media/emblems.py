"""Generated pictures of one emblem each, to be classified: accuracy without a download.

An emblem is one of the shapes of :mod:`splitbed.media.shapes` in one of four patterns, turned, of
any size and colours, somewhere on a cluttered background.  What a colour or a place is says nothing
of the class.

Seeds 0 to 99 are for measurements; Splitbed's own classifiers are trained on seeds from 1000 on
(``scripts/train-emblems``).

Every machine gets the same bytes, see :mod:`splitbed.media.dice`.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from splitbed.media.dice import Dice, Floats, direction, noise
from splitbed.media.outlines import OUTLINES, PATTERNS
from splitbed.tasks.classes import SHAPES

Pixels = npt.NDArray[np.uint8]

SIDE = 64
NAMES = ("plain", "striped", "chequered", "curved")
"""Of :data:`splitbed.media.outlines.PATTERNS`, in its order."""
EMBLEMS = tuple(f"{pattern}-{shape}" for shape in SHAPES for pattern in NAMES)
"""The 24 classes."""
OCTAVES = ((24, 20), (9, 14), (4, 8))  # cell and amplitude of the background's noise
DECOYS = 3  # bars and ovals
GRAIN = 6


class Emblem(NamedTuple):
    """A picture and what is on it."""

    picture: Pixels
    """64x64x3, red, green and blue."""
    label: str
    """One of ``EMBLEMS``."""


def emblem(seed: int, place: int) -> Emblem:
    """Picture ``place`` of the series ``seed``; neither is negative."""
    dice, (shape, pattern) = _thrown(seed, place)
    base = dice.colour(60, 190)
    canvas = _background(dice, base)
    paint = dice.colour(20, 235)
    while np.abs(paint - base).max() < 60:
        paint = dice.colour(20, 235)
    radius = dice.between(17, 29)
    margin = 0.8 * radius
    middle = dice.between(margin, SIDE - margin), dice.between(margin, SIDE - margin)
    second = paint + dice.colour(30, 80) * np.float32(1 - 2 * dice.pick(2))
    stripe = dice.between(7, 13) / radius
    _paint(canvas, dice, SHAPES[shape], middle, radius, (paint, second), (pattern, stripe))
    canvas += dice.lattice(SIDE, SIDE) * np.float32(GRAIN)
    canvas = (canvas - np.float32(128)) * np.float32(dice.between(0.6, 1.05)) + np.float32(128)
    picture = np.clip(canvas, 0, 255).astype(np.uint8).transpose(1, 2, 0)
    return Emblem(np.ascontiguousarray(picture), _label(shape, pattern))


def label(seed: int, place: int) -> str:
    """The class of that picture, which is not drawn for it."""
    _, chosen = _thrown(seed, place)
    return _label(*chosen)


def _thrown(seed: int, place: int) -> tuple[Dice, tuple[int, int]]:
    """Dice, and the places of the shape and the pattern that they gave first."""
    dice = Dice((seed << 32) + place)
    return dice, (dice.pick(len(SHAPES)), dice.pick(len(PATTERNS)))


def _label(shape: int, pattern: int) -> str:
    return EMBLEMS[shape * len(PATTERNS) + pattern]


def _background(dice: Dice, base: Floats) -> Floats:
    """3x64x64: noise, and bars and ovals in colours of their own."""
    canvas = np.repeat(base, SIDE * SIDE).reshape(3, SIDE, SIDE)
    for cell, amplitude in OCTAVES:
        field = noise(dice, SIDE, SIDE, cell)
        canvas += field * (dice.colour(0.4, 1.0)[:, None, None] * np.float32(amplitude))
    for _ in range(DECOYS):
        middle = dice.between(0, SIDE), dice.between(0, SIDE)
        paint = base + dice.colour(-60, 60)
        paints = paint, paint + dice.colour(-25, 25)
        pattern = dice.pick(len(PATTERNS)), dice.between(0.2, 0.6)
        _paint(
            canvas,
            dice,
            ("bar", "oval")[dice.pick(2)],
            middle,
            dice.between(5, 22),
            paints,
            pattern,
        )
    return np.asarray(canvas)


def _paint(
    canvas: Floats,
    dice: Dice,
    outline: str,
    middle: tuple[float, float],
    radius: float,
    paints: tuple[Floats, Floats],
    pattern: tuple[int, float],
) -> None:
    """Put a shape, turned somehow, in front of what there is; lengths in pixels."""
    cos, sin = direction(dice.between(0, 1))
    across, down = (
        (np.arange(SIDE, dtype=np.float32) + np.float32(0.5 - at)) / np.float32(radius)
        for at in middle
    )
    down = down[:, np.newaxis]
    u = across * np.float32(cos) + down * np.float32(sin)
    v = down * np.float32(cos) - across * np.float32(sin)
    cover = np.clip(np.float32(0.5) - OUTLINES[outline](u, v) * np.float32(radius), 0, 1)
    kind, stripe = pattern
    mix = PATTERNS[kind](u, v, np.float32(stripe))
    light = u * np.float32(dice.between(-20, 20)) + v * np.float32(dice.between(-20, 20))
    one, two = (paint[:, None, None] for paint in paints)
    canvas += ((one + (two - one) * mix + light) - canvas) * cover
