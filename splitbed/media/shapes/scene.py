"""What there is in a generated video, where it is, and how that is drawn."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from splitbed.media.dice import Dice, Floats, direction, noise, wave
from splitbed.media.outlines import OUTLINES, PATTERNS
from splitbed.tasks.boxes import Box
from splitbed.tasks.classes import SHAPES

Pixels = npt.NDArray[np.uint8]
Owners = npt.NDArray[np.int32]

WIDTH, HEIGHT = 256, 192
MIN_VISIBLE = 0.25
"""An object of whose whole area less can be seen leaves the ground truth."""
NOBODY = -1
DECOYS = 12  # bars and ovals
PAN = 40  # furthest that the background moves, in units of height / HEIGHT
OCTAVES = ((64, 26), (24, 16), (9, 10), (3, 8))  # cell and amplitude of the background's noise
GRAIN = 3


class Frame(NamedTuple):
    """One picture of a sequence."""

    picture: Pixels
    """HxWx3, red, green and blue."""
    boxes: list[Box]
    """Ground truth: the object's extent as far as it is seen, in whole pixels."""
    owners: Owners
    """HxW: the track of the object that is seen at each pixel, or ``NOBODY``."""


@dataclass(frozen=True)
class Thing:
    """A shape with its path and its paint; lengths in pixels, times in frames."""

    track: int
    shape: str
    radius: float
    born: int
    start: tuple[float, float]
    speed: tuple[float, float]
    turned: float
    spin: float
    breath: float
    period: float
    paints: tuple[Floats, Floats]
    pattern: int
    stripe: float
    light: tuple[float, float]

    def place(self, time: int) -> tuple[float, float]:
        """Where its middle is."""
        age = time - self.born
        sway = 0.15 * self.radius * wave(age / self.period)
        return (
            self.start[0] + self.speed[0] * age + sway,
            self.start[1] + self.speed[1] * age - sway,
        )

    def gone(self, time: int, width: int, height: int) -> bool:
        """Whether it has left the picture, not to come back."""
        reach = 1.5 * self.radius
        return any(
            (at < -reach and speed <= 0) or (at > side + reach and speed >= 0)
            for at, speed, side in zip(self.place(time), self.speed, (width, height), strict=True)
        )


class Scene:
    """What there is, and where; ``move`` is called for each frame in order, ``draw`` for any."""

    def __init__(self, dice: Dice, width: int, height: int) -> None:
        self.dice, self.width, self.height = dice, width, height
        self.unit = height / HEIGHT
        self.base = dice.colour(70, 180)
        self.speckle = noise(dice, 64, 64, 5)
        self.grain = dice.lattice(height + 64, width + 64) * np.float32(GRAIN)
        self.pan = [(dice.between(250, 600), dice.between(0, 1)) for _ in range(2)]
        self.gain, self.glow = dice.between(0.65, 1.05), dice.between(-15, 15)
        self.background = self._background()
        self.tracks = 0

    def first(self) -> list[Thing]:
        """The things of the first frame, from the back to the front."""
        return [self._thing(0, inside=True) for _ in range(3 + self.dice.pick(5))]

    def move(self, time: int, things: Sequence[Thing]) -> list[Thing]:
        """Those of the next frame: whoever has left is followed by another, somewhere."""
        stay = [t for t in things if not t.gone(time, self.width, self.height)]
        for _ in range(len(things) - len(stay)):
            stay.insert(self.dice.pick(len(stay) + 1), self._thing(time, inside=False))
        return stay

    def draw(self, time: int, things: Sequence[Thing]) -> Frame:
        """The picture of a time, with the things that are there then."""
        canvas = self._panned(time)
        owners = np.full((self.height, self.width), NOBODY, np.int32)
        areas = {t.track: self._paint(canvas, t, time, owners) for t in things}
        period = self.pan[0][0]
        gain = np.float32(self.gain + 0.08 * wave(2.7 * time / period))
        glow = np.float32(128 + self.glow + 8 * wave(1.9 * time / period))
        canvas -= np.float32(128)
        canvas *= gain
        # which part of the grain differs from frame to frame
        top, left = 29 * time % 64, 37 * time % 64
        canvas += self.grain[top : top + self.height, left : left + self.width] + glow
        picture = np.clip(canvas, 0, 255).astype(np.uint8).transpose(1, 2, 0)
        boxes = [
            box
            for thing in sorted(things, key=lambda t: t.track)
            if (box := _seen(thing, owners, areas[thing.track]))
        ]
        return Frame(np.ascontiguousarray(picture), boxes, owners)

    def _thing(self, time: int, *, inside: bool) -> Thing:
        dice, unit = self.dice, self.unit
        shape = SHAPES[dice.pick(len(SHAPES))]
        radius = unit * dice.between(0.05, 0.225) * HEIGHT
        aim = dice.between(0, self.width), dice.between(0, self.height)
        x, y = direction(dice.between(0, 1))
        pace = unit * dice.between(0.2, 3.0)
        way = 0.0
        if not inside:
            pace += 0.5 * unit
            way = self._way_in(aim, (x, y), 1.5 * radius)
        paint = dice.colour(25, 230)
        while np.abs(paint - self.base).max() < 50:
            paint = dice.colour(25, 230)
        second = paint + dice.colour(15, 70) * np.float32(1 - 2 * dice.pick(2))
        self.tracks += 1
        return Thing(
            self.tracks, shape, radius, time, (aim[0] - x * way, aim[1] - y * way),
            (x * pace, y * pace), dice.between(0, 1), dice.between(-0.012, 0.012),
            dice.between(0, 0.2), dice.between(40, 120), (paint, second), dice.pick(4),
            unit * dice.between(5, 14) / radius, (dice.between(-25, 25), dice.between(-25, 25)),
        )  # fmt: skip

    def _way_in(self, aim: tuple[float, float], course: tuple[float, float], reach: float) -> float:
        """How far back from ``aim`` that is which is ``reach`` outside the picture."""
        sides = zip(aim, course, (self.width, self.height), strict=True)
        return min(
            ((at if toward > 0 else side - at) + reach) / abs(toward)
            for at, toward, side in sides
            if abs(toward) > 0.01
        )

    def _background(self) -> Floats:
        """3xHxW, by the furthest pan larger than the picture."""
        dice, pan = self.dice, math.ceil(PAN * self.unit) + 1
        rows, columns = self.height + 2 * pan, self.width + 2 * pan
        down = np.arange(rows, dtype=np.float32)[:, np.newaxis] / np.float32(rows)
        across = np.arange(columns, dtype=np.float32) / np.float32(columns)
        slopes = np.stack([dice.colour(-40, 40), dice.colour(-40, 40)])[..., None, None]
        canvas = self.base[:, None, None] + slopes[0] * down + slopes[1] * across
        for cell, amplitude in OCTAVES:
            field = noise(dice, rows, columns, math.ceil(cell * self.unit))
            canvas += field * (dice.colour(0.5, 1.0)[:, None, None] * np.float32(amplitude))
        for _ in range(DECOYS):
            self._paint(canvas, self._decoy(columns, rows), 0, None)
        return np.asarray(canvas)

    def _decoy(self, columns: int, rows: int) -> Thing:
        dice = self.dice
        paint = self.base + dice.colour(-60, 60)
        return Thing(
            NOBODY, ("bar", "oval")[dice.pick(2)], self.unit * dice.between(10, 60), 0,
            (dice.between(0, columns), dice.between(0, rows)), (0, 0), dice.between(0, 1), 0,
            0, 1, (paint, paint + dice.colour(-25, 25)), dice.pick(4), dice.between(0.1, 0.5),
            (0, 0),
        )  # fmt: skip

    def _panned(self, time: int) -> Floats:
        """The part of the background that is in the picture, moved by fractions of a pixel."""
        reach = PAN * self.unit
        ways = [reach * (1 + wave(time / period + phase)) for period, phase in self.pan]
        (top, down), (left, right) = ((int(way), np.float32(way - int(way))) for way in ways)
        seen = self.background[:, top : top + self.height + 1, left : left + self.width + 1]
        rows = seen[:, :-1] + (seen[:, 1:] - seen[:, :-1]) * down
        return np.asarray(rows[:, :, :-1] + (rows[:, :, 1:] - rows[:, :, :-1]) * right)

    def _paint(self, canvas: Floats, thing: Thing, time: int, owners: Owners | None) -> int:
        """Put ``thing`` in front of all else; the pixels of its whole, in the picture or not."""
        (x, y), age = thing.place(time), time - thing.born
        radius = thing.radius * (1 + thing.breath * wave(age / (2.3 * thing.period)))
        cos, sin = direction(thing.turned + thing.spin * age)
        first = [math.floor(at - 1.2 * radius) for at in (x, y)]
        size = int(2.4 * radius) + 3
        across, down = (
            (np.arange(start, start + size, dtype=np.float32) + np.float32(0.5 - at))
            / np.float32(radius)
            for start, at in zip(first, (x, y), strict=True)
        )
        down = down[:, np.newaxis]
        u = across * np.float32(cos) + down * np.float32(sin)
        v = down * np.float32(cos) - across * np.float32(sin)
        cover = np.clip(np.float32(0.5) - OUTLINES[thing.shape](u, v) * np.float32(radius), 0, 1)
        area = int(np.count_nonzero(cover >= 0.5))
        left, top = (max(start, 0) for start in first)
        inside = np.s_[
            top - first[1] : max(canvas.shape[1] - first[1], 0),
            left - first[0] : max(canvas.shape[2] - first[0], 0),
        ]
        cover, u, v = cover[inside], u[inside], v[inside]
        rows, columns = cover.shape
        there = np.s_[top : top + rows, left : left + columns]
        mix = PATTERNS[thing.pattern](u, v, np.float32(thing.stripe))
        light = u * np.float32(thing.light[0]) + v * np.float32(thing.light[1])
        light += np.float32(14) * self._speckled(u, v)
        one, two = (paint[:, None, None] for paint in thing.paints)
        target = canvas[:, there[0], there[1]]
        target += ((one + (two - one) * mix + light) - target) * cover
        if owners is not None:
            owners[there][cover >= 0.5] = thing.track
        return area

    def _speckled(self, u: Floats, v: Floats) -> Floats:
        """Noise that sticks to a thing."""
        column, row = (((w + np.float32(2)) * np.float32(24)).astype(np.int32) for w in (u, v))
        return np.asarray(self.speckle[row & 63, column & 63])


def _seen(thing: Thing, owners: Owners, area: int) -> Box | None:
    own = owners == thing.track
    visible = int(np.count_nonzero(own))
    if visible < MIN_VISIBLE * area or visible == 0:
        return None
    columns, rows = np.flatnonzero(own.any(axis=0)), np.flatnonzero(own.any(axis=1))
    x, y = int(columns[0]), int(rows[0])
    w, h = int(columns[-1]) + 1 - x, int(rows[-1]) + 1 - y
    return Box(thing.shape, x, y, w, h, track=thing.track)
