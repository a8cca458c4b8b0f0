"""The principal axes of weighted calibration frames.

Blocks have a thousand axes and more, and frames have few of them: those that begin at other places
than the codec's are counted too, since a map is alike wherever a block begins.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from splitbed.codecs.klt.dct import Dct
from splitbed.codecs.klt.transform import Layout, Transform
from splitbed.codecs.stage import Array, Floats
from splitbed.errors import UsageError

RIDGE = 0.05
"""Of the mean sensitivity, for every channel alike: four frames do not tell all of it."""
MOST_SAMPLES = 1 << 15
"""Blocks that are counted because they begin elsewhere."""

Doubles = npt.NDArray[np.float64]


def roots(sensitivity: Floats | None, channels: int) -> tuple[Doubles, Doubles]:
    """The root of the ridged sensitivity, and its inverse; UsageError where it is none."""
    if sensitivity is None:
        return np.eye(channels), np.eye(channels)
    weight = np.asarray(sensitivity, np.float64)
    if weight.shape != (channels, channels) or not np.isfinite(weight).all():
        raise UsageError(
            f"its sensitivity is {list(weight.shape)}, or not finite, where {channels} channels"
            f" have {channels} x {channels} numbers: measure it at this cut"
        )
    weight = (weight + weight.T) / 2
    total = np.trace(weight)
    weight = weight * channels / total if total > 0 else np.eye(channels)
    values, axes = np.linalg.eigh((1 - RIDGE) * weight + RIDGE * np.eye(channels))
    values = np.maximum(values, RIDGE / 2)
    return (axes * np.sqrt(values)) @ axes.T, (axes / np.sqrt(values)) @ axes.T


@dataclass(frozen=True)
class Moments:
    """Of values less ``origin``: how many of each channel, their sums, and those of products."""

    origin: Doubles
    count: int
    sums: Doubles
    products: Doubles

    @classmethod
    def of(cls, layout: Layout, frames: Sequence[Array], origin: Doubles) -> "Moments":
        """Those of all blocks of ``frames``; of whole tensors where there are no blocks."""
        count, sums = 0, np.zeros(len(origin))
        products = np.zeros((len(origin), len(origin)))
        shifts = _shifts(layout, len(frames))
        for frame in frames:
            values = np.concatenate(list(_shifted(layout, frame, shifts)), axis=1)
            apart = values - origin[:, None]
            count += apart.shape[1]
            sums += apart.sum(axis=1)
            products += apart @ apart.T
        return cls(origin, count, sums, products)

    def plus(self, other: "Moments") -> "Moments":
        """Those of both."""
        return Moments(
            self.origin,
            self.count + other.count,
            self.sums + other.sums,
            self.products + other.products,
        )


def _shifts(layout: Layout, frames: int) -> list[tuple[int, int]]:
    """Where the first block begins, each time that a frame is counted."""
    side = layout.block
    times = min(max(MOST_SAMPLES // (layout.places * frames), 1), side**2)
    return [divmod(time * side**2 // times, side) for time in range(times)]


def _shifted(layout: Layout, frame: Array, shifts: Sequence[tuple[int, int]]) -> Iterator[Floats]:
    """Channels x places of the blocks that begin there."""
    whole = replace(layout, block=1)
    planes = whole.apart(frame).reshape(whole.channels, whole.planes, *whole.plane)
    side = layout.block
    for down, right in shifts:
        rows, columns = (
            (length - by) // side for length, by in zip(whole.plane, (down, right), strict=True)
        )
        part = planes[..., down : down + rows * side, right : right + columns * side]
        yield layout.blocks_of(part)


@dataclass(frozen=True)
class Basis:
    """Weighted frames' principal axes: ``forward`` and ``back``, channels x channels."""

    mean: Doubles
    forward: Doubles
    back: Doubles
    spread: float
    """The root of the weighted variance of all channels together."""

    @classmethod
    def of(cls, moments: Moments, weight: tuple[Doubles, Doubles]) -> "Basis":
        """With the roots of the sensitivity, of the channels of a tensor or of those of blocks."""
        count, mean = moments.count, moments.sums / moments.count
        beside = math.isqrt(len(mean) // len(weight[0]))
        root, inverse = (np.kron(one, np.eye(beside**2)) for one in weight)
        covariance = moments.products / count - np.outer(mean, mean)
        variance, axes = np.linalg.eigh(root @ covariance @ root)
        axes = axes[:, ::-1]  # the greatest variance first
        spread = float(np.sqrt(max(variance.sum(), 0)))
        return cls(mean + moments.origin, axes.T @ root, inverse @ axes, spread)

    def transform(self, layout: Layout, length: float) -> Transform:
        """The whole of it, with a step of that length, and without DCT."""
        return Transform(
            layout,
            Dct(layout.plane, 0),
            (self.forward / length).astype(np.float32),
            (self.back * length).astype(np.float32),
            self.mean.astype(np.float32)[:, None],
            strays=np.zeros((2, layout.channels), np.float32),
        )
