"""What seeded weights are made of: random filters, and maps that fit them, alike on every machine.

Filters and maps are multiples of 2^-12, so products and sums are exact in float64 in whatever
order threads take them.
"""

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

Doubles = npt.NDArray[np.float64]
"""Maps are channels x pictures x height x width: a convolution is then one matrix product."""

PICTURES = 4
SPAN = 72  # side of a picture, in the units of its leaves
LEAVES = 250  # of a picture
SAMPLES = 2000  # places that show a channel's distribution
GRID = 2.0**-12
SPARSITY = (0.50, 0.68)  # range of a layer's share of zeros, behind a ReLU
SPREAD = 0.1  # of a channel's share around its layer's


def leaves(rng: np.random.Generator, side: int) -> Doubles:
    """Pictures of dead leaves: discs of any size hiding one another, as objects do in photographs.

    Their edges, flat regions and statistics at all scales are close to those of natural pictures
    (Lee, Mumford and Huang, 2001). Normalised to unit deviation, more or less.
    """
    y, x = np.mgrid[:side, :side] * (SPAN / side)
    maps = np.zeros((3, PICTURES, side, side))
    for picture in range(PICTURES):
        for _ in range(LEAVES):
            radius = 4 / np.sqrt(rng.uniform(0.003, 1))
            left, top = rng.uniform(-10, SPAN + 10, 2)
            colour = rng.uniform(-1.8, 1.8) + rng.uniform(-0.5, 0.5, 3)
            maps[:, picture, (x - left) ** 2 + (y - top) ** 2 < radius**2] = colour[:, np.newaxis]
    return rounded(maps + rng.uniform(-0.1, 0.1, maps.shape))


def random_filters(shape: tuple[int, int, int, int], rng: np.random.Generator) -> Doubles:
    """Filters OxIxKxK that sum to zero, uniform as PyTorch's defaults are."""
    if shape[1] != 3:
        filters = rng.random(shape, np.float32).astype(np.float64)
        return rounded(filters - filters.mean(axis=(1, 2, 3), keepdims=True))
    # A trained first layer is smooth and mostly grey, and blind to each colour's brightness.
    outputs, inputs, side, _ = shape
    grey = rng.random((outputs, 1, side + 2, side + 2))
    colour = rng.random((outputs, inputs, side + 2, side + 2)) / 2
    smooth = sliding_window_view(grey + colour, (3, 3), (2, 3)).mean(axis=(4, 5))
    return rounded(smooth - smooth.mean(axis=(2, 3), keepdims=True))


def thresholds(maps: Doubles, shares: Doubles) -> Doubles:
    """The value in each channel that its share of the places stays below."""
    flat = maps.reshape(len(maps), -1)
    ordered = np.sort(flat[:, :: -(-flat.shape[1] // SAMPLES)], axis=1)
    places = (shares * ordered.shape[1]).astype(int)
    return np.asarray(ordered[np.arange(len(maps)), places])


def shares(channels: int, rng: np.random.Generator) -> Doubles:
    """The share of zeros that each channel of a layer shall have."""
    return rng.uniform(*SPARSITY) + rng.uniform(-SPREAD, SPREAD, channels)


def windows(
    maps: Doubles, kernel: int, stride: int, dilation: int = 1, *, zeros: bool = True
) -> Doubles:
    """What each of the kernel's places sees: channels x places x pictures x height x width.

    Around the maps are ``zeros``, or else their edges.
    """
    pad = kernel // 2 * dilation
    padded = np.pad(maps, [(0, 0), (0, 0), (pad, pad), (pad, pad)], "constant" if zeros else "edge")
    span = maps.shape[2]
    starts = range(0, kernel * dilation, dilation)
    shifted = [
        padded[:, :, row : row + span : stride, column : column + span : stride]
        for row in starts
        for column in starts
    ]
    return np.stack(shifted, axis=1)


def max_pooled(maps: Doubles) -> Doubles:
    """The greatest of 3x3 places, every other one."""
    # Zero pads as well as minus infinity does: maps behind a ReLU are not negative.
    return np.asarray(windows(maps, 3, 2, zeros=True).max(axis=1))


def column(values: Doubles) -> Doubles:
    """A value for each channel, shaped to meet maps or filters."""
    return values[:, np.newaxis, np.newaxis, np.newaxis]


def rounded(values: Doubles) -> Doubles:
    """The nearest multiples of ``GRID``."""
    return np.asarray(np.rint(values / GRID) * GRID)
