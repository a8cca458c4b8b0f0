"""The tables of a `klt`, from calibration frames and from what part 2 is sensitive to.

Whatever is counted of levels is counted on frames that its transform was not made of: the two
halves of the frames each by a transform of the other.  On its own frames a transform seems better
than it is, the more so the fewer they are: of fewer values than channels, most components would
seem empty.
"""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from splitbed.codecs.klt.axes import BLOCKS_ALONG, Axes, Lasting, axes_of, halves
from splitbed.codecs.klt.basis import Doubles
from splitbed.codecs.klt.books import counted
from splitbed.codecs.klt.dct import BLOCKS, Dct
from splitbed.codecs.klt.inter import DIFFERENCE, Before
from splitbed.codecs.klt.tables import NEVER, Codebook, Tables, order_of
from splitbed.codecs.klt.transform import MOST_CHANNELS, Layout, Transform
from splitbed.codecs.stage import Array, Floats
from splitbed.errors import NodeError, UsageError

FLOOR = 5e-4
"""Coefficients of a less mean magnitude are not coded, but extras."""
CLASSES = 24
BIT = np.log(2) / 12
"""The error in squared steps that is worth a bit: half of what one saves where steps are short,
since accuracy feels components that are cut more than their errors tell."""
MOST_JOINT = 256
"""Components of a KLT over blocks: they make its product slow, and its tables great."""
WORTH = 0.8
"""Of the usual cost, that blocks have to be below: where they save less, accuracy is no better."""
STRAY, STRAY_OF_SEEN = 16, 4
"""A frame is too far from calibration whose components leave out so many steps, and so many times
what they left out of calibration frames: what they leave out of others like these is far less."""
LEAST = 1e-30
"""Of a step, which FP32 has to bear the inverse of."""
JUDGED = 0.1
"""The step that ways to lay a tensor out are judged at: the axis is of a tensor, not of a step."""
MOST = 1e30
"""Of a calibration frame's values: the ends of FP32 are far from their squares' mean root."""


def fitted(
    layout: Layout,
    frames: Sequence[Array],
    step: float,
    sensitivity: Floats | None = None,
    *,
    inter: bool = False,
) -> Tables:
    """The tables for frames like these, which are in the order of time.

    ``step`` is in parts of the root of the weighted variance of all channels together, and
    ``sensitivity`` is channels x channels; without it all channels count alike.

    Raises:
        UsageError: no frame; too many channels; a sensitivity that is none, or of other channels.
        NodeError: a frame of another shape, with NaN or infinity, or with values beyond MOST.
    """
    if not frames:
        raise UsageError("there is no calibration frame: give one or more; 40 are good")
    layout.check()
    layout = laid_out(layout, frames)
    planes = [_apart(layout, frame) for frame in frames]
    if all((one == planes[0][:, :1]).all() for one in planes):
        return _constant(layout, planes[0][:, :1], inter=inter)
    axes = axes_of(layout, frames, sensitivity)
    length = step * axes.channels.whole.spread
    if length < LEAST:
        raise NodeError(f"its values vary by less than {LEAST:g} in the calibration frames")
    found = _best(axes.channels, frames, length)
    if axes.blocks is not None:
        joint = _of_blocks(_split(axes.blocks, frames, length))
        found = joint if joint.cost < WORTH * found.cost else found
    return _counted(found, inter=inter)


def laid_out(layout: Layout, frames: Sequence[Array]) -> Layout:
    """The layout with channels along the axis that costs least on frames like these.

    All channels count alike in that: part 2's sensitivity need be measured along one axis then.
    It takes frames that a transform was not made of, so that of one the layout is as it is.  It is
    found once for the same arrays.

    Raises NodeError as :func:`fitted` does.
    """
    ways = [way for way in layout.ways() if way.channels <= MOST_CHANNELS]
    if len(ways) < 2 or len(frames) < 2:
        return next(iter(ways), layout)
    return _laid_out.of(layout, arrays=frames, make=lambda: _cheapest(ways, frames))


_laid_out = Lasting[Layout]()


def _cheapest(ways: Sequence[Layout], frames: Sequence[Array]) -> Layout:
    """The one of these ways that costs least."""
    for frame in frames:
        _apart(ways[0], frame)
    axes = [axes_of(way, frames, None).channels for way in ways]
    least = min(axes, key=lambda one: one.whole.spread)
    if (length := JUDGED * least.whole.spread) < LEAST:
        return least.layout
    return min(axes, key=lambda one: _best(one, frames, length).cost).layout


def _best(axes: Axes, frames: Sequence[Array], length: float) -> "_Choice":
    """By the DCT that costs least."""
    return min(_of_channels(_split(axes, frames, length)), key=lambda one: one.cost)


def _apart(layout: Layout, frame: Array) -> Floats:
    """A calibration frame as channels x places."""
    if frame.shape != layout.info.shape:
        raise NodeError(f"a calibration frame is {list(frame.shape)}: calibrate it at this cut")
    values = layout.apart(frame)
    if max(values.max(initial=0), -values.min(initial=0)) > MOST:
        raise NodeError(f"a calibration frame has values beyond {MOST:g}")
    return values


def _constant(layout: Layout, mean: Floats, *, inter: bool) -> Tables:
    """Of a tensor whose channels never vary: no component, and nothing to code."""
    dct, channels = Dct(layout.plane, 0), layout.channels
    none = np.zeros((0, channels), np.float32)
    transform = Transform(layout, dct, none, none.T, mean, np.zeros((2, channels), np.float32))
    alone = Codebook(np.zeros((0, 1), np.uint8), ())
    if not inter:
        return Tables(transform, (alone,))
    return Tables(transform, (alone, alone), np.zeros((0, 1), np.float32))


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
class _Choice:
    """Of a split, a DCT and the components that are kept, and what the levels are like.

    ``cost`` is of a frame, in bits: those of its levels, and those that its error is worth.
    """

    split: _Split
    dct: Dct
    magnitudes: Doubles
    kept: npt.NDArray[np.bool_]
    cost: float


def _split(axes: Axes, frames: Sequence[Array], length: float) -> _Split:
    layout = axes.layout
    unseen = [
        _Unseen(other.transform(layout, length), [layout.apart(frame) for frame in one])
        for other, one in zip(axes.others, halves(frames), strict=True)
    ]
    return _Split(axes.whole.transform(layout, length), unseen, len(frames))


def _of_channels(split: _Split) -> Iterator[_Choice]:
    """With each DCT, and all components that have levels."""
    for dct in _dcts(split.whole.layout.plane):
        magnitudes = _mean_magnitudes(map(np.rint, split.coefficients(dct)), dct)
        kept = magnitudes.max(axis=1) >= FLOOR
        bits = _bits(magnitudes, dct).sum() * split.whole.layout.planes
        error = sum(np.square(one - np.rint(one)).sum() for one in split.coefficients(dct))
        yield _Choice(split, dct, magnitudes, kept, float(bits + error / split.frames / BIT))


def _of_blocks(split: _Split) -> _Choice:
    """With those components whose bits are worth the error that they save, and few in all."""
    layout, dct = split.whole.layout, split.whole.dct
    magnitudes = _mean_magnitudes(map(np.rint, split.coefficients(dct)), dct)
    energy, error = np.zeros(layout.channels), np.zeros(layout.channels)
    for one in split.coefficients(dct):
        energy += np.square(one).sum(axis=1, dtype=np.float64) / split.frames
        error += np.square(one - np.rint(one)).sum(axis=1, dtype=np.float64) / split.frames
    bits = _bits(magnitudes, dct).sum(axis=1) * layout.planes
    saved = (energy - error) / BIT - bits
    kept = (saved > 0) & (saved >= np.sort(saved)[-MOST_JOINT:][0])
    return _Choice(split, dct, magnitudes, kept, float(energy.sum() / BIT - saved[kept].sum()))


def _counted(best: _Choice, *, inter: bool) -> Tables:
    """The books for levels as those of unseen frames are."""
    unseen, dct, magnitudes, kept = best.split.unseen, best.dct, best.magnitudes, best.kept
    bound = STRAY + STRAY_OF_SEEN * max(each.stray(kept) for each in unseen)
    transform = replace(best.split.whole.only(kept, dct), bound=bound)
    levels = (np.rint(one) for each in unseen for one in each.coefficients(kept, dct))
    alone = _codebook(magnitudes[kept], levels, transform)
    if not inter:
        return Tables(transform, (alone,))
    sequences = [list(each.coefficients(kept, dct)) for each in unseen]
    factors = _factors(sequences, dct)
    differences = _differences(sequences, transform, factors)
    if not differences:  # the frames do not follow one another
        return Tables(transform, (alone, alone), np.zeros_like(factors))
    by_differences = _codebook(_mean_magnitudes(differences, dct), differences, transform)
    return Tables(transform, (alone, by_differences), factors)


def _factors(sequences: Sequence[Sequence[Floats]], dct: Dct) -> Floats:
    """The share of its level in the frame before that best foresees each coefficient; 0 to 1."""
    pairs = [pair for frames in sequences for pair in itertools.pairwise(frames)]
    if not pairs:
        return np.zeros((len(sequences[0][0]), dct.frequencies), np.float32)
    products, squares = (
        _sums((now * np.rint(before) for before, now in pairs), dct),
        _sums((np.rint(before) ** 2 for before, _ in pairs), dct),
    )
    shares = np.divide(products, squares, out=np.zeros_like(products), where=squares > 0)
    return np.clip(shares, 0, 1).astype(np.float32)


def _differences(
    sequences: Sequence[Sequence[Floats]], transform: Transform, factors: Floats
) -> list[Floats]:
    """The levels of the frames that are coded so."""
    found = []
    for frames in sequences:
        before = Before(transform, factors)
        coded = map(before.levels, frames)
        found += [levels for how, levels in coded if how == DIFFERENCE]
    return found


def _dcts(plane: tuple[int, int]) -> list[Dct]:
    """Those to choose from; without one for planes that are too small."""
    return [Dct(plane, side) for side in BLOCKS if min(plane) >= BLOCKS_ALONG * side]


def _mean_magnitudes(frames: Sequence[Floats] | Iterator[Floats], dct: Dct) -> Doubles:
    """Of levels: for each component and frequency."""
    counts = np.bincount(dct.frequency.ravel(), minlength=dct.frequencies)
    sums, planes = np.zeros(()), 0
    for levels in frames:
        sums = sums + _sums([np.abs(levels)], dct)
        planes += levels.shape[1] // dct.frequency.size
    return np.asarray(sums / np.maximum(counts * planes, 1))


def _sums(frames: Iterable[Floats], dct: Dct) -> Doubles:
    """Of values of components x places: of each component and frequency, over all frames."""
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


def _codebook(magnitudes: Doubles, levels: Iterable[Floats], transform: Transform) -> Codebook:
    """Classes of like magnitude, and what is counted in each."""
    classes = np.full(magnitudes.shape, NEVER, np.uint8)
    coded = magnitudes >= FLOOR
    if not coded.any():
        return Codebook(classes, ())
    high = np.log(magnitudes[coded] / FLOOR)
    steps = np.minimum(high / max(high.max(), 1e-9) * CLASSES, CLASSES - 1).astype(np.intp)
    used, classes[coded] = np.unique(steps, return_inverse=True)
    order = order_of(classes, len(used), transform)
    return Codebook(classes, counted((one.ravel() for one in levels), order))
