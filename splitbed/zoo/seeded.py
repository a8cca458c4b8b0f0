"""Seeded weights whose activations are as sparse as a trained network's.

Plain random weights behave unlike trained ones: behind a ReLU every input is positive, so whole
channels end up always on or always off, and what is measured of codecs and boxes misleads. Here
filters are random and sum to zero, and every layer is fitted on a few made-up pictures, much as
batch norm is in training: each channel gets unit deviation and a drawn share of zeros.

The zeros come not from a bias but from a number taken off a channel's whole filter, so that the
threshold rises and falls with what the filter sees. With constant thresholds, fifty layers make
dim pictures die out and bright ones saturate; without, contrast changes nothing but the scale.

Every machine gets the same bytes: filters and maps are multiples of 2^-12, so products and sums
are exact in float64 in whatever order threads take them.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from splitbed.tasks.ssd import BOXES, MIN_SCORE
from splitbed.zoo.layers import Conv, Weights

Doubles = npt.NDArray[np.float64]
"""Maps are channels x pictures x height x width: a convolution is then one matrix product."""

PICTURES = 4
SIDE = 72  # the smallest whose maps stay large enough to fit the last layers
LEAVES = 250  # of a picture
SPARSITY = (0.50, 0.68)  # range of a layer's share of zeros
SPREAD = 0.1  # of a channel's share around its layer's
SAMPLES = 2000  # places that show a channel's distribution
CANDIDATES = 80 / BOXES  # share of default boxes that score above MIN_SCORE, before suppression
GRID = 2.0**-12


def weights(layers: Sequence[Conv], pool: str, classes: int, seed: int) -> Weights:
    """Weight and bias of every layer.

    The first layer reads the image and ``pool`` follows it. Layers without batch norm are heads;
    those with a multiple of ``classes`` outputs score classes, of which the first is the
    background, set so that some tens of boxes are left in a picture.
    """
    rng = np.random.Generator(np.random.PCG64(seed))
    maps = {layers[0].source: _leaves(rng)}
    fitted = {}
    for layer in layers:
        filters = _filters(layer, rng)
        out, activity = _convolve(maps[layer.source], filters, layer)
        deviation = _column(np.maximum(_rounded(out.std(axis=(1, 2, 3))), GRID))
        filters, out, bias = filters / deviation, out / deviation, np.zeros(layer.outputs)
        if layer.adds:
            out += maps[layer.adds]
        if layer is layers[0]:
            # The image is signed, so what a filter sees of it has no sum to speak of.
            bias = -_thresholds(out, _shares(layer, rng))
            out += _column(bias)
        elif layer.relu:
            slope = _column(_thresholds(out / activity, _shares(layer, rng)))
            filters, out = filters - slope, out - slope * activity
        elif layer.norm is None and layer.outputs % classes == 0:
            boxes = layer.outputs // classes
            filters[:boxes], bias[:boxes] = _background(out, activity, boxes)
        maps[layer.last] = _rounded(np.maximum(out, 0) if layer.relu else out)
        if layer is layers[0]:
            maps[pool] = _max_pool(maps[layer.last])
        fitted[layer.module] = (filters.astype(np.float32), bias.astype(np.float32))
    return fitted


def _leaves(rng: np.random.Generator) -> Doubles:
    """Pictures of dead leaves: discs of any size hiding one another, as objects do in photographs.

    Their edges, flat regions and statistics at all scales are close to those of natural pictures
    (Lee, Mumford and Huang, 2001). Normalised as a model's input is.
    """
    y, x = np.mgrid[:SIDE, :SIDE]
    maps = np.empty((3, PICTURES, SIDE, SIDE))
    for picture in range(PICTURES):
        for _ in range(LEAVES):
            radius = 4 / np.sqrt(rng.uniform(0.003, 1))
            left, top = rng.uniform(-10, SIDE + 10, 2)
            colour = rng.uniform(-1.8, 1.8) + rng.uniform(-0.5, 0.5, 3)
            maps[:, picture, (x - left) ** 2 + (y - top) ** 2 < radius**2] = colour[:, np.newaxis]
    return _rounded(maps + rng.uniform(-0.1, 0.1, maps.shape))


def _filters(layer: Conv, rng: np.random.Generator) -> Doubles:
    """Random filters that sum to zero, uniform as PyTorch's defaults are."""
    if layer.inputs > 3:
        filters = rng.random(layer.shape, np.float32).astype(np.float64)
        return _rounded(filters - filters.mean(axis=(1, 2, 3), keepdims=True))
    # A trained first layer is smooth and mostly grey, and blind to each colour's brightness.
    outputs, inputs, side, _ = layer.shape
    grey = rng.random((outputs, 1, side + 2, side + 2))
    colour = rng.random((outputs, inputs, side + 2, side + 2)) / 2
    smooth = sliding_window_view(grey + colour, (3, 3), (2, 3)).mean(axis=(4, 5))
    return _rounded(smooth - smooth.mean(axis=(2, 3), keepdims=True))


def _shares(layer: Conv, rng: np.random.Generator) -> Doubles:
    """The share of zeros that each channel shall have."""
    return rng.uniform(*SPARSITY) + rng.uniform(-SPREAD, SPREAD, layer.outputs)


def _thresholds(maps: Doubles, shares: Doubles) -> Doubles:
    """The value in each channel that its share of the places stays below."""
    flat = maps.reshape(len(maps), -1)
    ordered = np.sort(flat[:, :: -(-flat.shape[1] // SAMPLES)], axis=1)
    places = (shares * ordered.shape[1]).astype(int)
    return np.asarray(ordered[np.arange(len(maps)), places])


def _background(logits: Doubles, activity: Doubles, boxes: int) -> tuple[Doubles, Doubles]:
    """Filters and biases that let the best class of few boxes score above ``MIN_SCORE``.

    A class does where its logit exceeds the background's by log(MIN_SCORE): the bias makes up
    for that, and the rest follows the activity as the logits do.
    """
    best = logits[boxes:].reshape(-1, boxes, *logits.shape[1:]).max(axis=0)
    slope = _thresholds(best / activity, np.full(boxes, 1 - CANDIDATES))
    return _column(slope), np.full(boxes, -np.log(MIN_SCORE))


def _convolve(maps: Doubles, filters: Doubles, layer: Conv) -> tuple[Doubles, Doubles]:
    """The convolution, and the sum of what each of its places sees."""
    # Where the layer does not pad, edges do: the small pictures leave no row to lose.
    windows = _windows(maps, layer.kernel, layer.stride, zeros=layer.pad == layer.kernel // 2)
    rows = np.concatenate([filters, np.ones((1, *layer.shape[1:]))])
    out = np.tensordot(rows.reshape(len(rows), layer.inputs, -1), windows, 2)
    return out[:-1], np.maximum(out[-1:], GRID)


def _max_pool(maps: Doubles) -> Doubles:
    # Zero pads as well as minus infinity does: maps behind a ReLU are not negative.
    return np.asarray(_windows(maps, 3, 2, zeros=True).max(axis=1))


def _windows(maps: Doubles, kernel: int, stride: int, *, zeros: bool) -> Doubles:
    """What each of the kernel's places sees: channels x places x pictures x height x width."""
    around = [(0, 0), (0, 0), (kernel // 2, kernel // 2), (kernel // 2, kernel // 2)]
    padded = np.pad(maps, around, "constant" if zeros else "edge")
    span = maps.shape[2]
    shifted = [
        padded[:, :, row : row + span : stride, column : column + span : stride]
        for row in range(kernel)
        for column in range(kernel)
    ]
    return np.stack(shifted, axis=1)


def _column(values: Doubles) -> Doubles:
    return values[:, np.newaxis, np.newaxis, np.newaxis]


def _rounded(values: Doubles) -> Doubles:
    return np.asarray(np.rint(values / GRID) * GRID)
