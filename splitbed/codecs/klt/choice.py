"""Which transform of frames is chosen: its DCT, its components, by what their levels would cost.

frames ──> two halves, each by a transform of the other ──> levels ──> bits and error ──> choice
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from splitbed.codecs.klt.axes import BLOCKS_ALONG, Axes, halves
from splitbed.codecs.klt.basis import Doubles
from splitbed.codecs.klt.dct import BLOCKS, Dct
from splitbed.codecs.klt.transform import Transform
from splitbed.codecs.stage import Array, Floats

FLOOR = 5e-4
"""Coefficients of a less mean magnitude are not coded, but extras."""
BIT = np.log(2) / 12
"""The error in squared steps that is worth a bit: half of what one saves where steps are short,
since accuracy feels components that are cut more than their errors tell."""
MOST_JOINT = 256
"""Components of a KLT over blocks: they make its product slow, and its tables great."""


@dataclass(frozen=True)
class _Unseen:
    """Frames in the order of time, and a transform that was made of others."""

    transform: Transform
    planes: Sequence[Floats]

    def coefficients(self, kept: npt.NDArray[np.bool_], dct: Dct) -> Iterator[Floats]:
        """Of each frame, components x places."""
        only = self.transform.only(kept, dct)
        return (only.of_planes(one)[0] for one in self.planes)

    def stray(self, kept: npt.NDArray[np.bool_]) -> float:
        """The most of what these components leave out of a frame."""
        only = self.transform.only(kept, self.transform.dct)
        return max(only.of_planes(one)[1] for one in self.planes)


@dataclass(frozen=True)
class _Split:
    """The transform of all frames, and the halves of them with a transform of the other half."""

    whole: Transform
    unseen: Sequence[_Unseen]
    frames: int

    def coefficients(self, dct: Dct) -> Iterator[Floats]:
        """Of each frame, by all components of a transform that was made of others."""
        every = np.ones(self.whole.layout.channels, np.bool_)
        return (one for each in self.unseen for one in each.coefficients(every, dct))


@dataclass(frozen=True)
class Choice:
    """Of a split, a DCT and the components that are kept, and what the levels are like.

    ``cost`` is of a frame, in bits: those of its levels, and those that its error is worth.
    """

    split: _Split
    dct: Dct
    magnitudes: Doubles
    kept: npt.NDArray[np.bool_]
    cost: float


def of_channels(axes: Axes, frames: Sequence[Array], length: float) -> Choice:
    """In steps of this length, by the DCT that costs least."""
    return min(_by_dct(_split(axes, frames, length)), key=lambda one: one.cost)


def _split(axes: Axes, frames: Sequence[Array], length: float) -> _Split:
    layout = axes.layout
    unseen = [
        _Unseen(other.transform(layout, length), [layout.apart(frame) for frame in one])
        for other, one in zip(axes.others, halves(frames), strict=True)
    ]
    return _Split(axes.whole.transform(layout, length), unseen, len(frames))


def _by_dct(split: _Split) -> Iterator[Choice]:
    for dct in _dcts(split.whole.layout.plane):
        yield _worth(split, dct, most=split.whole.layout.channels)


def of_blocks(axes: Axes, frames: Sequence[Array], length: float) -> Choice:
    """Without a DCT, and of few components."""
    split = _split(axes, frames, length)
    return _worth(split, split.whole.dct, most=MOST_JOINT)


def _worth(split: _Split, dct: Dct, most: int) -> Choice:
    """With up to so many components: those whose bits are worth the error that they save."""
    magnitudes = mean_magnitudes(map(np.rint, split.coefficients(dct)), dct)
    energy, error = np.zeros((2, len(magnitudes)))
    for one in split.coefficients(dct):
        energy += np.square(one).sum(axis=1, dtype=np.float64) / split.frames
        error += np.square(one - np.rint(one)).sum(axis=1, dtype=np.float64) / split.frames
    bits = _bits(magnitudes, dct).sum(axis=1) * split.whole.layout.planes
    saved = (energy - error) / BIT - bits
    kept = (saved > 0) & (saved >= np.sort(saved)[-most:][0])
    kept[saved.argmax()] = True  # without any, every frame would cross as it is
    return Choice(split, dct, magnitudes, kept, float(energy.sum() / BIT - saved[kept].sum()))


def _dcts(plane: tuple[int, int]) -> list[Dct]:
    """Those to choose from; without one for planes that are too small."""
    return [Dct(plane, side) for side in BLOCKS if min(plane) >= BLOCKS_ALONG * side]


def mean_magnitudes(frames: Sequence[Floats] | Iterator[Floats], dct: Dct) -> Doubles:
    """Of levels: for each component and frequency."""
    counts = np.bincount(dct.frequency.ravel(), minlength=dct.frequencies)
    sums, planes = np.zeros(()), 0
    for levels in frames:
        sums = sums + of_frequencies([np.abs(levels)], dct)
        planes += levels.shape[1] // dct.frequency.size
    return np.asarray(sums / np.maximum(counts * planes, 1))


def of_frequencies(frames: Iterable[Floats], dct: Dct) -> Doubles:
    """Sums of values of components x places: of each component and frequency, over all frames."""
    places = dct.frequency.size
    chosen = np.zeros((places, dct.frequencies), np.float32)
    chosen[np.arange(places), dct.frequency.ravel()] = 1
    planes = (values.reshape(len(values), -1, places).sum(axis=1) for values in frames)
    return np.asarray(sum((one @ chosen).astype(np.float64) for one in planes))


def _bits(magnitudes: Doubles, dct: Dct) -> Doubles:
    """About what levels of these mean magnitudes take in a plane, were they geometric."""
    seen = magnitudes >= FLOOR
    mean = magnitudes[seen]
    fading = (np.sqrt(1 + mean**2) - 1) / mean
    each = np.zeros(magnitudes.shape)
    each[seen] = -np.log2((1 - fading) / (1 + fading)) - mean * np.log2(fading)
    return each * np.bincount(dct.frequency.ravel(), minlength=dct.frequencies)
