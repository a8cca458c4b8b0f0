"""Seeded weights of classifiers, whose activations are those of a trained network in kind.

As in :mod:`splitbed.zoo.seeded`, which says why, filters are random and sum to zero, every layer is
fitted on a few made-up pictures, and a number taken off a channel's whole filter gives it the share
of zeros that it shall have.  Behind a layer without ReLU maps are signed: there a bias does it.
"""

from collections.abc import Iterable

import numpy as np

from splitbed.zoo.classifiers.networks import IMAGE, Row
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
from splitbed.zoo.layers import Conv, Floats, Learnt, Linear, Weightless, Weights

SIDE = 64  # leaves 2x2 places at the end


def weights(rows: Iterable[Row], seed: int) -> Weights:
    """Weight and bias of every layer."""
    rng = np.random.Generator(np.random.PCG64(seed))
    maps = {IMAGE: leaves(rng, SIDE)}
    signed = {IMAGE}
    fitted = {}
    for row in rows:
        if isinstance(row, Weightless):
            signed |= {row.last} if row.source in signed else set()
            maps[row.last] = _weightless(row, maps[row.source])
            continue
        fitted[row.module], maps[row.last] = _fit(row, maps, rng, signed=row.source in signed)
        if not row.relu:
            signed.add(row.last)
    return fitted


def _weightless(row: Weightless, source: Doubles) -> Doubles:
    match row.op:
        case "MaxPool":
            return max_pooled(source)
        case "GlobalAveragePool":
            return rounded(source.mean(axis=(2, 3), keepdims=True))
        case _:
            return source


def _fit(
    row: Learnt, maps: dict[str, Doubles], rng: np.random.Generator, *, signed: bool
) -> tuple[tuple[Floats, Floats], Doubles]:
    """Weight and bias of a layer, and its map."""
    source = maps[row.source]
    if isinstance(row, Conv):
        kernel, stride, shape = row.kernel, row.stride, row.shape
    else:  # each of its places is a channel of its own
        kernel, stride, shape = 1, 1, (row.outputs, row.inputs, 1, 1)
        source = _flat(source, row.inputs)
    filters, bias = random_filters(shape, rng), np.zeros(row.outputs)
    seen = windows(source, kernel, stride)
    out, activity = _applied(filters, seen), _applied(np.ones((1, *shape[1:])), seen)
    deviation = column(np.maximum(rounded(out.std(axis=(1, 2, 3))), GRID))
    filters, out = filters / deviation, out / deviation
    if isinstance(row, Conv) and row.adds:
        out += maps[row.adds]
    if row.relu and signed:
        bias = -thresholds(out, shares(row.outputs, rng))
        out += column(bias)
    elif row.relu:
        activity = np.maximum(activity, GRID)
        slope = column(thresholds(out / activity, shares(row.outputs, rng)))
        filters, out = filters - slope, out - slope * activity
    elif isinstance(row, Linear):  # classes that are as likely as one another
        bias = -rounded(out.mean(axis=(1, 2, 3)))
        out += column(bias)
    made = filters.reshape(row.shape).astype(np.float32), bias.astype(np.float32)
    return made, rounded(np.maximum(out, 0) if row.relu else out)


def _applied(filters: Doubles, seen: Doubles) -> Doubles:
    """The convolution; a filter of one channel is that of the channel in its place."""
    flat = filters.reshape(*filters.shape[:2], -1)
    if flat.shape[1] == len(seen):
        return np.tensordot(flat, seen, 2)
    return np.asarray((flat[:, 0, :, np.newaxis, np.newaxis, np.newaxis] * seen).sum(axis=1))


def _flat(source: Doubles, inputs: int) -> Doubles:
    """Channels and places as channels; a small map's places stand for several each."""
    channels, pictures, side, _ = source.shape
    places = round((inputs // channels) ** 0.5)
    near = np.arange(places) * side // places
    spread = source[:, :, near][:, :, :, near].transpose(0, 2, 3, 1)
    return spread.reshape(inputs, pictures, 1, 1)
