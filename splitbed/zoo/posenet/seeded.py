"""Seeded weights for PoseNet, whose activations are those of a trained network in kind.

As in :mod:`splitbed.zoo.seeded`, which says why, filters are random, and a number taken off a
channel's whole filter gives it the share of zeros that it shall have. ReLU6 has an upper end too:
each channel is scaled to reach it in the share of places that it shall.
"""

from collections.abc import Sequence

import numpy as np

from splitbed.zoo.exact import (
    Doubles,
    column,
    leaves,
    random_filters,
    rounded,
    thresholds,
    windows,
)
from splitbed.zoo.layers import Weights
from splitbed.zoo.posenet.layers import PoseLayer

SIDE = 129  # leaves 9x9 places at stride 16
ZEROS = (0.2, 0.5)  # range of a layer's share, as in the published model of width 0.75
SPREAD = 0.15  # of a channel's share around its layer's
SIXES = (0.0, 0.02)  # range of a channel's share
PEAKS = (0.0, 0.02)  # range of a key point's share of places that score above one half
REST = (-1.5, -0.5)  # range of a key point's logit where nothing stirs
SCALES = {"heatmap_2": 2, "offset_2": 8, "displacement_fwd_2": 30, "displacement_bwd_2": 30}
"""Deviation of each output, logits or pixels."""
LEAST = 2.0**-6  # of what is divided by, where a channel hardly stirs


def weights(layers: Sequence[PoseLayer], seed: int) -> Weights:
    """Weight and bias of every layer."""
    rng = np.random.Generator(np.random.PCG64(seed))
    maps = {layers[0].source: rounded(np.clip(leaves(rng, SIDE) / 2, -1, 1))}
    fitted = {}
    for layer in layers:
        filters, bias = random_filters(layer.shape, rng), np.zeros(layer.outputs)
        out, activity = _convolve(maps[layer.source], filters, layer)
        shares = _shares(layer, rng)
        if layer is layers[0]:
            # The image is signed, so what a filter sees of it has no sum to speak of.
            bias = -thresholds(out, shares)
            out += column(bias)
        else:
            slope = column(thresholds(out / np.maximum(activity, LEAST), shares))
            filters, out = filters - slope, out - slope * activity
        scale = _scale(layer, out, rng)
        bias *= scale
        if layer.output == "heatmap_2":
            bias = rng.uniform(*REST, layer.outputs)
        filters *= column(scale)
        fitted[layer.name] = filters.astype(np.float32), bias.astype(np.float32)
        maps[layer.output] = rounded(np.clip(out * column(scale), 0, 6))
    return fitted


def _shares(layer: PoseLayer, rng: np.random.Generator) -> Doubles:
    """The share of places where each channel shall not be above zero."""
    if layer.relu6:
        return rng.uniform(*ZEROS) + rng.uniform(-SPREAD, SPREAD, layer.outputs)
    if layer.output == "heatmap_2":
        return 1 - rng.uniform(*PEAKS, layer.outputs)
    return np.full(layer.outputs, 0.5)


def _scale(layer: PoseLayer, out: Doubles, rng: np.random.Generator) -> Doubles:
    """What each channel is multiplied by."""
    if layer.relu6:
        tops = thresholds(out, 1 - rng.uniform(*SIXES, layer.outputs))
        return 6 / np.maximum(tops, LEAST)
    low, high = (thresholds(out, np.full(layer.outputs, share)) for share in (0.16, 0.84))
    return 2 * SCALES[layer.output] / np.maximum(high - low, LEAST)


def _convolve(maps: Doubles, filters: Doubles, layer: PoseLayer) -> tuple[Doubles, Doubles]:
    """The convolution, and the sum of what each of its places sees."""
    seen = windows(maps, layer.kernel, layer.stride, layer.dilation)
    rows = filters.reshape(*filters.shape[:2], -1)
    if layer.depthwise:
        return np.einsum("ck,ckphw->cphw", rows[:, 0], seen), seen.sum(axis=1)
    return np.tensordot(rows, seen, 2), seen.sum(axis=(0, 1))[np.newaxis]
