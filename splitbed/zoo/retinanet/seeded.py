"""Seeded weights for RetinaNet, whose activations are those of a trained network in kind.

As in :mod:`splitbed.zoo.seeded`, which says why, filters are random and sum to zero, every layer is
fitted on a few made-up pictures, and a number taken off a channel's whole filter gives it the share
of zeros that it shall have. The maps of the pyramid are signed, as the image is: behind them a bias
does it. A module of the heads is fitted on all the levels that it serves.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby

import numpy as np

from splitbed.zoo.exact import (
    GRID,
    Doubles,
    column,
    leaves,
    max_pooled,
    random_filters,
    rounded,
    shares,
    thresholds,
    windows,
)
from splitbed.zoo.layers import Conv, Floats, Weightless, Weights
from splitbed.zoo.retinanet.layers import IMAGE, Row

SIDE = 128  # leaves 4x4 places at the end of the body, and one of level 7
CANDIDATES = 0.002  # share of places where some class of some anchor scores above BIAS
BIAS = -2.95  # of every class: just below the logit of the least score of a box, 0.05
OFFSETS = 0.2  # deviation of the boxes' offsets, in sizes of the anchor
Maps = dict[str, Doubles]


def weights(rows: Sequence[Row], seed: int) -> Weights:
    """Weight and bias of every module."""
    rng = np.random.Generator(np.random.PCG64(seed))
    maps = {IMAGE: leaves(rng, SIDE)}
    signed = {IMAGE}
    fitted = {}
    for group in _modules(rows):
        first = group[0]
        if isinstance(first, Weightless):
            maps[first.node] = _weightless(first, maps[first.source])
            continue
        layers = [row for row in group if isinstance(row, Conv)]
        fitted[first.module] = _fit(layers, maps, rng, signed=first.source in signed)
        if not first.relu:
            signed |= {layer.last for layer in layers}
    return fitted


def _modules(rows: Sequence[Row]) -> Iterator[list[Row]]:
    """The rows of each module together, in the order in which modules come."""
    places: dict[str, int] = {}
    for place, row in enumerate(rows):
        places.setdefault(_module(row), place)
    together = sorted(rows, key=lambda row: places[_module(row)])
    for _, group in groupby(together, _module):
        yield list(group)


def _module(row: Row) -> str:
    return row.module if isinstance(row, Conv) else row.node


def _weightless(row: Weightless, source: Doubles) -> Doubles:
    match row.op:
        case "MaxPool":
            return max_pooled(source)
        case "Resize":
            return source.repeat(2, axis=2).repeat(2, axis=3)
        case _:
            return np.maximum(source, 0)


def _fit(
    layers: Sequence[Conv], maps: Maps, rng: np.random.Generator, *, signed: bool
) -> tuple[Floats, Floats]:
    """Weight and bias of a module, whose ``layers`` differ in what they read; adds their maps."""
    first = layers[0]
    filters, bias = random_filters(first.shape, rng), np.zeros(first.outputs)
    sights = [windows(maps[layer.source], first.kernel, first.stride) for layer in layers]
    seen = np.concatenate([sight.reshape(*sight.shape[:2], -1) for sight in sights], axis=2)
    out = np.tensordot(filters.reshape(*filters.shape[:2], -1), seen, 2)
    deviation = np.maximum(rounded(out.std(axis=1)), GRID)
    filters, out = filters / column(deviation), out / deviation[:, np.newaxis]
    if first.adds:
        out += maps[first.adds].reshape(out.shape)
    if first.relu and signed:
        bias = -thresholds(out, shares(first.outputs, rng))
        out += bias[:, np.newaxis]
    elif first.relu:
        activity = np.maximum(seen.sum(axis=(0, 1)), GRID)
        slope = thresholds(out / activity, shares(first.outputs, rng))
        filters, out = filters - column(slope), out - slope[:, np.newaxis] * activity
    elif first.module.endswith("cls_logits"):
        activity = seen.sum(axis=(0, 1))
        rest = rounded(activity.mean() / 2)
        best = np.sort((out / (activity + rest)).max(axis=0))
        slope = best[int((1 - CANDIDATES) * len(best))]
        filters, bias = filters - slope, bias + BIAS - slope * rest
    elif first.module.endswith("bbox_reg"):
        filters = filters * OFFSETS
    ends = np.cumsum([sight[0, 0].size for sight in sights])
    for layer, sight, part in zip(layers, sights, np.split(out, ends[:-1], axis=1), strict=True):
        shaped = part.reshape(first.outputs, *sight.shape[2:])
        maps[layer.last] = rounded(np.maximum(shaped, 0) if first.relu else shaped)
    return filters.astype(np.float32), bias.astype(np.float32)
