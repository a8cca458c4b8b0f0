"""The tables of a `klt`, from calibration frames and from what part 2 is sensitive to.

Whatever is counted of levels is counted on frames that its transform was not made of: the two
halves of the frames each by a transform of the other.  On its own frames a transform seems better
than it is, the more so the fewer they are: of fewer values than channels, most components would
seem empty.
"""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import replace

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
from splitbed.codecs.klt.inter import DIFFERENCE, Before
from splitbed.codecs.klt.tables import NEVER, Codebook, Tables, order_of
from splitbed.codecs.klt.transform import MOST_CHANNELS, Layout, Transform
from splitbed.codecs.stage import Array, Floats
from splitbed.errors import NodeError, UsageError

CLASSES = 16
WORTH = 0.815
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
    alone = _codebook(magnitudes[kept], levels, transform)
    if not inter:
        return Tables(transform, (alone,))
    sequences = [list(each.coefficients(kept, dct)) for each in unseen]
    factors = _factors(sequences, dct)
    differences = _differences(sequences, transform, factors)
    if not differences:  # the frames do not follow one another
        return Tables(transform, (alone, alone), np.zeros_like(factors))
    by_differences = _codebook(mean_magnitudes(differences, dct), differences, transform)
    return Tables(transform, (alone, by_differences), factors)


def _factors(sequences: Sequence[Sequence[Floats]], dct: Dct) -> Floats:
    """The share of its level in the frame before that best foresees each coefficient; 0 to 1."""
    pairs = [pair for frames in sequences for pair in itertools.pairwise(frames)]
    if not pairs:
        return np.zeros((len(sequences[0][0]), dct.frequencies), np.float32)
    products, squares = (
        of_frequencies((now * np.rint(before) for before, now in pairs), dct),
        of_frequencies((np.rint(before) ** 2 for before, _ in pairs), dct),
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
