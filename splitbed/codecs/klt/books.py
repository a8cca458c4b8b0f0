"""Books of probabilities, counted in the levels of calibration frames."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from splitbed.codecs.klt.coding import MASKS, TOTAL, Book, Weights
from splitbed.codecs.klt.order import Order
from splitbed.codecs.klt.symbols import GROUP, Coded
from splitbed.codecs.stage import Array, Floats

MOST_VALUE = 2046
PRIOR = 200.0
"""Symbols that a book has seen before the first, as of levels that do not depend on one another."""
SET_BITS = np.array([mask.bit_count() for mask in range(MASKS)])

Doubles = npt.NDArray[np.float64]


def counted(frames: Iterable[tuple[Floats, Order]], books: int) -> tuple[Book, ...]:
    """A book for each class of the levels of ``frames``, each flat and with its order."""
    sizes = MASKS, MASKS, MASKS, MOST_VALUE + 1
    counts = [np.zeros((books, size)) for size in sizes]
    for levels, order in frames:
        coded = Coded.of(order.of(levels), order.ends)
        for found, symbols, each in zip(counts, coded.symbols, coded.counts, strict=True):
            _count(
                found, np.repeat(np.arange(books), each), np.minimum(symbols, found.shape[1] - 1)
            )
    return tuple(
        Book(_masks(filled), _masks(others, first=1), _masks(large), _values(values))
        for filled, others, large, values in zip(*counts, strict=True)
    )


def _count(counts: Doubles, books: Array, symbols: Array) -> None:
    found = np.bincount(books * counts.shape[1] + symbols, minlength=counts.size)
    counts += found.reshape(counts.shape)


def _masks(counts: Doubles, first: int = 0) -> Weights:
    """Of those counted, and a few of bits that are set with the share of all here.

    Masks from ``first`` on are likely.
    """
    share = (counts @ SET_BITS + 0.5) / (GROUP * counts.sum() + 1)
    prior = share**SET_BITS * (1 - share) ** (GROUP - SET_BITS)
    prior[:first] = 0
    return _weights(counts + PRIOR * prior / prior.sum())


def _values(counts: Doubles) -> Weights:
    """Of values up to half as great again as those counted, and of an escape.

    A few more than those counted are spread as a geometric distribution of the same mean.
    """
    values = np.arange(counts.size)
    seen = int(values[counts > 0].max(initial=0))
    most = min(seen + seen // 2 + 2, MOST_VALUE)
    mean = (counts @ values + 0.5) / (counts.sum() + 1)
    fading = mean / (1 + mean)
    prior = PRIOR * (1 - fading) * fading**values
    found, escape = (counts + prior)[:most], PRIOR * fading**most
    return _weights(np.append(found, escape + counts[most:].sum()))


def _weights(counts: Doubles) -> Weights:
    """As parts of TOTAL, each at least 1; the most frequent symbol takes what rounding leaves."""
    weights = 1 + np.floor(counts / counts.sum() * (TOTAL - counts.size)).astype(np.int64)
    weights[counts.argmax()] += TOTAL - weights.sum()
    return np.asarray(weights, np.uint16)
