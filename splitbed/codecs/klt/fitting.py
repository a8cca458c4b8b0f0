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

from splitbed.codecs.klt.axes import Lasting, axes_of
from splitbed.codecs.klt.basis import Doubles
from splitbed.codecs.klt.books import counted
from splitbed.codecs.klt.choice import (
    FLOOR,
    Choice,
    mean_magnitudes,
    of_blocks,
    of_channels,
    of_frequencies,
)
from splitbed.codecs.klt.dct import Dct
from splitbed.codecs.klt.inter import DIFFERENCE, Before, block_sums
from splitbed.codecs.klt.symbols import Places
from splitbed.codecs.klt.tables import MOST_BOOKS, NEVER, Classes, Codebook, Tables, groups_of
from splitbed.codecs.klt.transform import MOST_CHANNELS, Layout, Transform
from splitbed.codecs.stage import Array, Floats
from splitbed.errors import NodeError, UsageError

CLASSES = 16
LIFTED_CLASSES = 10
"""Of differences: with those that they are lifted to there are about twice as many."""
WORTH = 0.815
"""Of the usual cost, that blocks have to be below: where they save less, accuracy is no better."""
STRAY, STRAY_OF_SEEN = 16, 4
"""A frame is too far from calibration whose components leave out so many steps, and so many times
what they left out of calibration frames: what they leave out of others like these is far less."""
LEAST_ACTIVE = 0.25
"""Levels that are not 0 which a block without any counts as, at least."""
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
    found = of_channels(axes.channels, frames, length)
    if axes.blocks is not None:
        joint = of_blocks(axes.blocks, frames, length)
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
    return min(axes, key=lambda one: of_channels(one, frames, length).cost).layout


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


def _counted(best: Choice, *, inter: bool) -> Tables:
    """The books for levels as those of unseen frames are."""
    unseen, dct, magnitudes, kept = best.split.unseen, best.dct, best.magnitudes, best.kept
    bound = STRAY + STRAY_OF_SEEN * max(each.stray(kept) for each in unseen)
    transform = replace(best.split.whole.only(kept, dct), bound=bound)
    levels = (np.rint(one) for each in unseen for one in each.coefficients(kept, dct))
    alone = _alone(magnitudes[kept], levels, transform)
    if not inter:
        return Tables(transform, (alone,))
    sequences = [list(each.coefficients(kept, dct)) for each in unseen]
    factors = _factors(sequences, transform)
    differences = list(_differences(sequences, transform, factors))
    if not differences:  # the frames do not follow one another
        return Tables(transform, (alone, alone), np.zeros_like(factors))
    return Tables(transform, (alone, _by_differences(differences, transform)), factors)


@dataclass(frozen=True)
class _Difference:
    """A frame that is coded so: its coefficients and levels, and what was of the frame before."""

    now: Floats
    levels: Floats
    held: Floats
    active: Places | None


def _differences(
    sequences: Sequence[Sequence[Floats]], transform: Transform, factors: Floats
) -> Iterator[_Difference]:
    """The frames that are coded so."""
    for frames in sequences:
        before = Before(transform, factors)
        for now in frames:
            held, active = before.held, before.active
            how, levels = before.levels(now)
            if how == DIFFERENCE and held is not None:
                yield _Difference(now, levels, held, active)


def _factors(sequences: Sequence[Sequence[Floats]], transform: Transform) -> Floats:
    """The share of its level in the frame before that best foresees each coefficient; 0 to 1.

    That level is as a decoder has it, which has no better one than those of the factors before:
    they are found of rounded frames, and again of what these are decoded to.
    """
    pairs = [
        (np.rint(before), now) for frames in sequences for before, now in itertools.pairwise(frames)
    ]
    factors = _shares(pairs, transform)
    decoded = [(one.held, one.now) for one in _differences(sequences, transform, factors)]
    return _shares(decoded, transform) if decoded else factors


def _shares(pairs: Sequence[tuple[Floats, Floats]], transform: Transform) -> Floats:
    """By least squares, of each component and frequency; 0 where there is nothing before."""
    dct = transform.dct
    if not pairs:
        return np.zeros((len(transform.forward), dct.frequencies), np.float32)
    products, squares = (
        of_frequencies((now * before for before, now in pairs), dct),
        of_frequencies((before**2 for before, _ in pairs), dct),
    )
    shares = np.divide(products, squares, out=np.zeros_like(products), where=squares > 0)
    return np.clip(shares, 0, 1).astype(np.float32)


def _by_differences(frames: Sequence[_Difference], transform: Transform) -> Codebook:
    """With classes that are lifted by what a block was in the frame before."""
    magnitudes = mean_magnitudes([one.levels for one in frames], transform.dct)
    classes, width = _classes(magnitudes, LIFTED_CLASSES)
    known = [one for one in frames if one.active is not None]
    bounds, usual = _lifts(known, transform, width) if known else ((), 0)
    codebook = Codebook(classes, (), bounds, usual)
    return _with_books(codebook, ((one.levels, one.active) for one in frames), transform)


def _lifts(
    frames: Sequence[_Difference], transform: Transform, width: float
) -> tuple[tuple[int, ...], int]:
    """What lifts classes that are so wide, of logarithms, and by how many they usually are lifted.

    The magnitudes of a block are taken to rise evenly with how many levels were not 0.
    """
    active = np.concatenate([one.active for one in frames if one.active is not None])
    found = np.concatenate([block_sums(np.abs(one.levels), transform.blocks) for one in frames])
    even = 1 / np.sqrt(active + 1.0)  # their spread rises, too
    base, slope = np.linalg.lstsq(np.stack([even, active * even], axis=1), found * even)[0]
    if slope <= 0:
        return (), 0
    base = max(float(base / slope), LEAST_ACTIVE)
    most = np.log(1 + active.max() / base) / width
    lifts = np.arange(1, min(int(most + 0.5), MOST_BOOKS - LIFTED_CLASSES) + 1)
    bounds = np.ceil(base * np.expm1((lifts - 0.5) * width)).astype(np.intp)
    return tuple(bounds.tolist()), int(bounds.searchsorted(active.mean(), side="right"))


def _alone(magnitudes: Doubles, levels: Iterable[Floats], transform: Transform) -> Codebook:
    """Of frames by themselves."""
    classes, _ = _classes(magnitudes, CLASSES)
    return _with_books(Codebook(classes, ()), ((one, None) for one in levels), transform)


def _classes(magnitudes: Doubles, count: int) -> tuple[Classes, float]:
    """Up to so many of like magnitude, and how wide they are, in logarithms."""
    classes = np.full(magnitudes.shape, NEVER, np.uint8)
    coded = magnitudes >= FLOOR
    high = np.log(magnitudes[coded] / FLOOR)
    width = max(float(high.max(initial=0)), 1e-9) / count
    steps = np.minimum(high / width, count - 1).astype(np.uint8)
    classes[coded] = steps - steps.min(initial=NEVER)
    return classes, width


def _with_books(
    codebook: Codebook, frames: Iterable[tuple[Floats, Places | None]], transform: Transform
) -> Codebook:
    """With what is counted in each class."""
    groups = groups_of(codebook, transform)
    orders = ((levels.ravel(), groups.order(active)) for levels, active in frames)
    return replace(codebook, books=counted(orders, codebook.count))
