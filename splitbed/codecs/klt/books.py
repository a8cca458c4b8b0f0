"""Books of probabilities, counted in the levels of calibration frames."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from splitbed.codecs.klt.coding import GROUP, MASKS, TOTAL, Book, Order, Weights, symbols_of
from splitbed.codecs.stage import Array, Floats

MOST_MAGNITUDE = 2047
PRIOR = 8.0
"""Symbols that a book has seen before the first, as of levels that do not depend on one another."""
SET_BITS = np.array([mask.bit_count() for mask in range(MASKS)])

Doubles = npt.NDArray[np.float64]


def counted(frames: Iterable[Floats], order: Order) -> tuple[Book, ...]:
    """A book for each class of ``order``, of the levels of ``frames``, each flat."""
    books = len(order.ends)
    of_groups = np.repeat(np.arange(books), order.groups)
    of_levels = np.repeat(np.arange(books), np.diff(order.ends, prepend=0))
    masks, values = np.zeros((books, MASKS)), np.zeros((books, 2 * MOST_MAGNITUDE + 1))
    for levels in frames:
        coded = levels[order.places]
        mask = coded != 0
        _count(masks, of_groups, np.packbits(mask))
        symbols = symbols_of(coded[mask].astype(np.int32))
        _count(values, of_levels[mask], np.minimum(symbols, 2 * MOST_MAGNITUDE))
    return tuple(Book(_masks(*each), _values(each[1])) for each in zip(masks, values, strict=True))


def _count(counts: Doubles, books: Array, symbols: Array) -> None:
    found = np.bincount(books * counts.shape[1] + symbols, minlength=counts.size)
    counts += found.reshape(counts.shape)


def _masks(masks: Doubles, values: Doubles) -> Weights:
    """Of masks: those counted, and a few of levels that are not 0 with the share of all here."""
    share = (values.sum() + 0.5) / (GROUP * masks.sum() + 1)
    return _weights(masks + PRIOR * share**SET_BITS * (1 - share) ** (GROUP - SET_BITS))


def _values(values: Doubles) -> Weights:
    """Of values up to half as great again as those counted, and of an escape.

    A few more than those counted are spread as a geometric distribution of the same mean.
    """
    magnitudes = np.arange(values.size) // 2 + 1
    seen = int(magnitudes[values > 0].max(initial=0))
    most = min(seen + seen // 2 + 1, MOST_MAGNITUDE)
    mean = (values @ magnitudes + 1.5) / (values.sum() + 1)
    fading = 1 - 1 / mean
    prior = PRIOR * (1 - fading) / 2 * fading ** (magnitudes - 1)
    found, escape = (values + prior)[: 2 * most], PRIOR * fading**most
    return _weights(np.append(found, escape + values[2 * most :].sum()))


def _weights(counts: Doubles) -> Weights:
    """As parts of TOTAL, each at least 1; the most frequent symbol takes what rounding leaves."""
    weights = 1 + np.floor(counts / counts.sum() * (TOTAL - counts.size)).astype(np.int64)
    weights[counts.argmax()] += TOTAL - weights.sum()
    return np.asarray(weights, np.uint16)
