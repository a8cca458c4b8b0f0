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

from splitbed.codecs.klt.books import counted
from splitbed.codecs.klt.inter import DIFFERENCE, Before
from splitbed.codecs.klt.tables import NEVER, Codebook, Tables, order_of
from splitbed.codecs.klt.transform import BLOCKS, Dct, Layout, Transform
from splitbed.codecs.stage import Array, Floats
from splitbed.errors import NodeError, UsageError

RIDGE = 0.05
"""Of the mean sensitivity, for every channel alike: four frames do not tell all of it."""
FLOOR = 5e-4
"""Coefficients of a less mean magnitude are not coded, but extras."""
CLASSES = 24
BLOCKS_ALONG = 3
"""A DCT needs planes of so many blocks either way."""
STRAY, STRAY_OF_SEEN = 16, 4
"""A frame is too far from calibration whose components leave out so many steps, and so many times
what they left out of calibration frames: what they leave out of others like these is far less."""
MOST_CHANNELS = 2048
LEAST = 1e-30
"""Of a step, which FP32 has to bear the inverse of."""
MOST = 1e30
"""Of a calibration frame's values: the ends of FP32 are far from their squares' mean root."""

Doubles = npt.NDArray[np.float64]


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
    if layout.channels > MOST_CHANNELS:
        raise UsageError(
            f"it has {layout.channels} channels, and {MOST_CHANNELS} are the most that a KLT is"
            " made of; int8 takes any number"
        )
    planes = [_apart(layout, frame) for frame in frames]
    weight = _roots(sensitivity, layout.channels)
    if all((one == planes[0][:, :1]).all() for one in planes):
        return _constant(layout, planes[0][:, :1], inter=inter)
    whole = _Basis.of(planes, weight)
    length = step * whole.spread
    if length < LEAST:
        raise NodeError(f"its values vary by less than {LEAST:g} in the calibration frames")
    half = len(planes) // 2
    halves = (planes[:half], planes[half:]) if half else (planes, planes)
    unseen = [
        _Unseen(_Basis.of(halves[1 - place], weight).transform(layout, length), one)
        for place, one in enumerate(halves[: 2 if half else 1])
    ]
    return _counted(whole.transform(layout, length), unseen, inter=inter)


def _apart(layout: Layout, frame: Array) -> Floats:
    """A calibration frame as channels x places."""
    if frame.shape != layout.info.shape:
        raise NodeError(f"a calibration frame is {list(frame.shape)}: calibrate it at this cut")
    values = layout.apart(frame)
    if max(values.max(initial=0), -values.min(initial=0)) > MOST:
        raise NodeError(f"a calibration frame has values beyond {MOST:g}")
    return values


def _roots(sensitivity: Floats | None, channels: int) -> tuple[Doubles, Doubles]:
    """The root of the ridged sensitivity, and its inverse."""
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
class _Basis:
    """The principal axes of weighted frames: ``forward`` and ``back``, channels x channels."""

    mean: Doubles
    forward: Doubles
    back: Doubles
    spread: float
    """The root of the weighted variance of all channels together."""

    @classmethod
    def of(cls, planes: Sequence[Floats], weight: tuple[Doubles, Doubles]) -> "_Basis":
        count = sum(one.shape[1] for one in planes)
        mean = sum(one.sum(axis=1, dtype=np.float64) for one in planes) / count
        product = np.zeros((len(mean), len(mean)))
        for one in planes:
            apart = one - mean[:, None]
            product += apart @ apart.T
        root, inverse = weight
        variance, axes = np.linalg.eigh(root @ (product / count) @ root)
        axes = axes[:, ::-1]  # the greatest variance first
        spread = float(np.sqrt(max(variance.sum(), 0)))
        return cls(mean, axes.T @ root, inverse @ axes, spread)

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


def _counted(whole: Transform, unseen: Sequence[_Unseen], *, inter: bool) -> Tables:
    """The DCT, the components and the books for levels as those of ``unseen`` frames are."""
    layout = whole.layout
    every = np.ones(layout.channels, np.bool_)
    found: list[tuple[float, Dct, Doubles]] = []
    for dct in _dcts(layout.plane):
        levels = (np.rint(one) for each in unseen for one in each.coefficients(every, dct))
        magnitudes = _mean_magnitudes(levels, dct)
        found.append((_bits(magnitudes, dct), dct, magnitudes))
    _, dct, magnitudes = min(found, key=lambda one: one[0])
    kept = magnitudes.max(axis=1) >= FLOOR
    bound = STRAY + STRAY_OF_SEEN * max(each.stray(kept) for each in unseen)
    transform = replace(whole.only(kept, dct), bound=bound)
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


def _bits(magnitudes: Doubles, dct: Dct) -> float:
    """About what levels of these mean magnitudes take in a plane, were they geometric."""
    seen = magnitudes >= FLOOR
    mean = magnitudes[seen]
    fading = (np.sqrt(1 + mean**2) - 1) / mean
    each = np.zeros(magnitudes.shape)
    each[seen] = -np.log2((1 - fading) / (1 + fading)) - mean * np.log2(fading)
    return float((each @ np.bincount(dct.frequency.ravel(), minlength=dct.frequencies)).sum())


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
