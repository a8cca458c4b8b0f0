"""Seeded weights whose activations are as sparse as a trained network's.

Plain random weights behave unlike trained ones: behind a ReLU every input is positive, so whole
channels end up always on or always off, and what is measured of codecs and boxes misleads. Here
filters are random and sum to zero, and every layer is fitted on a few made-up pictures, much as
batch norm is in training: each channel gets unit deviation and a drawn share of zeros.

The zeros come not from a bias but from a number taken off a channel's whole filter, so that the
threshold rises and falls with what the filter sees. With constant thresholds, fifty layers make
dim pictures die out and bright ones saturate; without, contrast changes nothing but the scale.

Every machine gets the same bytes, through :mod:`splitbed.zoo.exact`.
"""

from collections.abc import Sequence

import numpy as np

from splitbed.tasks.ssd import BOXES, MIN_SCORE
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
from splitbed.zoo.layers import Conv, Weights

SIDE = 72  # the smallest whose maps stay large enough to fit the last layers
CANDIDATES = 80 / BOXES  # share of default boxes that score above MIN_SCORE, before suppression


def weights(layers: Sequence[Conv], pool: str, classes: int, seed: int) -> Weights:
    """Weight and bias of every layer.

    The first layer reads the image and ``pool`` follows it. Layers without batch norm are heads;
    those with a multiple of ``classes`` outputs score classes, of which the first is the
    background, set so that some tens of boxes are left in a picture.
    """
    rng = np.random.Generator(np.random.PCG64(seed))
    maps = {layers[0].source: leaves(rng, SIDE)}
    fitted = {}
    for layer in layers:
        filters = random_filters(layer.shape, rng)
        out, activity = _convolve(maps[layer.source], filters, layer)
        deviation = column(np.maximum(rounded(out.std(axis=(1, 2, 3))), GRID))
        filters, out, bias = filters / deviation, out / deviation, np.zeros(layer.outputs)
        if layer.adds:
            out += maps[layer.adds]
        if layer is layers[0]:
            # The image is signed, so what a filter sees of it has no sum to speak of.
            bias = -thresholds(out, shares(layer.outputs, rng))
            out += column(bias)
        elif layer.relu:
            slope = column(thresholds(out / activity, shares(layer.outputs, rng)))
            filters, out = filters - slope, out - slope * activity
        elif layer.norm is None and layer.outputs % classes == 0:
            boxes = layer.outputs // classes
            filters[:boxes], bias[:boxes] = _background(out, activity, boxes)
        maps[layer.last] = rounded(np.maximum(out, 0) if layer.relu else out)
        if layer is layers[0]:
            maps[pool] = max_pooled(maps[layer.last])
        fitted[layer.module] = (filters.astype(np.float32), bias.astype(np.float32))
    return fitted


def _background(logits: Doubles, activity: Doubles, boxes: int) -> tuple[Doubles, Doubles]:
    """Filters and biases that let the best class of few boxes score above ``MIN_SCORE``.

    A class does where its logit exceeds the background's by log(MIN_SCORE): the bias makes up
    for that, and the rest follows the activity as the logits do.
    """
    best = logits[boxes:].reshape(-1, boxes, *logits.shape[1:]).max(axis=0)
    slope = thresholds(best / activity, np.full(boxes, 1 - CANDIDATES))
    return column(slope), np.full(boxes, -np.log(MIN_SCORE))


def _convolve(maps: Doubles, filters: Doubles, layer: Conv) -> tuple[Doubles, Doubles]:
    """The convolution, and the sum of what each of its places sees."""
    # Where the layer does not pad, edges do: the small pictures leave no row to lose.
    seen = windows(maps, layer.kernel, layer.stride, zeros=layer.pad == layer.kernel // 2)
    rows = np.concatenate([filters, np.ones((1, *layer.shape[1:]))])
    out = np.tensordot(rows.reshape(len(rows), layer.inputs, -1), seen, 2)
    return out[:-1], np.maximum(out[-1:], GRID)
