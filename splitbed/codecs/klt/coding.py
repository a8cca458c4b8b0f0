"""Levels as bits: asymmetric numeral systems by `constriction`, with static tables by class.

Coefficients that are coded are in classes by the magnitude that calibration saw, and stand in order
of their classes.  Of each eight in a row a byte says which are not 0; then come the values that are
not, sign and all.  So most symbols stand for eight coefficients, and no rate is lost: the two are
the levels' joint probability, taken apart.

    whether there are extras, a bit ─ masks, by class ─ values, by class ─ escapes ─ extras

A value beyond its class's table is an escape, a level of a coefficient that is not coded an extra.
All symbols and probabilities are integers.  A decoder of other bits than an encoder made ends with
bits left over, or none where some were due, which is how it knows.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from splitbed.codecs.klt.transform import MOST_LEVEL
from splitbed.codecs.stage import Floats
from splitbed.errors import NodeError

Integers = npt.NDArray[np.int32]
Places = npt.NDArray[np.intp]
Weights = npt.NDArray[np.uint16]
"""Probabilities of an alphabet, in parts of TOTAL; each is 1 or more."""

TOTAL = 1 << 16
GROUP = 8
"""Coefficients that share a symbol."""
MASKS = 1 << GROUP
MOST_VALUES = 4096
"""Symbols of a book."""
VALUES = np.arange(2, MOST_VALUES + 2, dtype=np.float32) // 2
"""Of each symbol, as :func:`symbols_of` has them."""
VALUES[1::2] *= -1
HALF = 1 << 16
LEVELS = 2 * MOST_LEVEL + 1
"""How many there are; `constriction` has uniform alphabets of up to 2**24."""
WORD_BYTES = 4
EXTRA_BITS = 55
"""Of an extra: 32 of its place, 23 of its level."""


@dataclass(frozen=True)
class Book:
    """The probabilities of one class: of the 256 masks of a group, and of values.

    Values 1, -1, 2, -2 … are the symbols 0, 1, 2, 3 …, and the last symbol is an escape.
    """

    masks: Weights
    values: Weights

    @property
    def escape(self) -> int:
        """The symbol of all values that are not in the table."""
        return self.values.size - 1


@dataclass(frozen=True)
class Order:
    """Where the coefficients that are coded are among ``size`` of them, class after class."""

    size: int
    places: Places
    ends: Places
    """Of each class in ``places``: whole groups, but for the last."""

    @classmethod
    def of(cls, classes: npt.NDArray[np.uint8], count: int) -> "Order":
        """That of coefficients of these classes, each by itself; those of ``count`` are not coded.

        A group that two classes have a part of is of the first.
        """
        places = np.argsort(classes, kind="stable")
        ends = np.cumsum(np.bincount(classes, minlength=count)[:count])
        coded = int(ends[-1]) if count else 0
        return cls(classes.size, places[:coded], np.minimum(-(-ends // GROUP) * GROUP, coded))

    @property
    def groups(self) -> list[int]:
        """How many each class has."""
        groups: list[int] = np.diff(-(-self.ends // GROUP), prepend=0).tolist()
        return groups


class LevelCoder:
    """Codes the levels of coefficients in ``order`` by the books of its classes."""

    def __init__(self, order: Order, books: Sequence[Book]) -> None:
        self._size, self._order, self._ends = order.size, order.places, order.ends
        self._groups = order.groups
        self._left = order.places.size < order.size
        self._is_left = np.ones(order.size, np.bool_)
        self._is_left[order.places] = False
        self._escapes = np.array([book.escape for book in books], np.int32)
        self._masks = [_categorical(book.masks) for book in books]
        self._values = [_categorical(book.values) for book in books]

    def encode(self, levels: Floats) -> bytes:
        """Whole numbers up to ``MOST_LEVEL`` either way."""
        import constriction

        levels = levels.reshape(-1)
        coded = levels.take(self._order)
        mask = coded != 0
        at = np.flatnonzero(mask)
        values = coded.take(at).astype(np.int32)
        counts = self._counts(at)
        escapes = np.repeat(self._escapes, counts)
        symbols = np.minimum(symbols_of(values), escapes)
        ans = constriction.stream.stack.AnsCoder()  # last in, first out
        extras = self._left and np.count_nonzero(levels != 0) > at.size
        if extras:
            self._push_extras(ans, levels)
        escaped = values[symbols == escapes]
        if escaped.size:
            ans.encode_reverse(escaped + np.int32(MOST_LEVEL), _uniform(LEVELS))
        _push(ans, symbols, self._values, counts)
        _push(ans, np.packbits(mask).astype(np.int32), self._masks, self._groups)
        ans.encode_reverse(int(extras), _uniform(2))
        return bytes(ans.get_compressed().astype("<u4", copy=False).tobytes())

    def decode(self, data: bytes, into: Floats) -> Floats:
        """The levels, which are written ``into`` that; NodeError for bits that no encoder made."""
        ans = _ans_of(data)
        extras = ans.decode(_uniform(2))
        masks = _pop(ans, self._masks, self._groups).astype(np.uint8)
        at = np.flatnonzero(np.unpackbits(masks, count=self._order.size).view(np.bool_))
        counts = self._counts(at)
        symbols = _pop(ans, self._values, counts)
        values = VALUES.take(symbols)
        escaped = np.flatnonzero(symbols == np.repeat(self._escapes, counts))
        if escaped.size:
            values[escaped] = ans.decode(_uniform(LEVELS), escaped.size) - MOST_LEVEL
        into.fill(0)
        levels = into.reshape(-1)
        levels[self._order.take(at)] = values
        if extras:
            self._pop_extras(ans, levels, most=len(data) * 8 // EXTRA_BITS)
        if not ans.is_empty():
            raise NodeError(f"{len(data)} bytes are no whole frame: damaged, or of other tables")
        return into

    def _counts(self, at: Places) -> list[int]:
        """How many of the coefficients that are not 0 each book has."""
        counts: list[int] = np.diff(np.searchsorted(at, self._ends), prepend=0).tolist()
        return counts

    def _push_extras(self, ans: Any, levels: Floats) -> None:
        at = np.flatnonzero(levels != 0)
        at = at[self._is_left[at]]
        ans.encode_reverse(levels[at].astype(np.int32) + np.int32(MOST_LEVEL), _uniform(LEVELS))
        _push_wide(ans, at)
        _push_wide(ans, np.array([at.size]))

    def _pop_extras(self, ans: Any, levels: Floats, most: int) -> None:
        count = int(_pop_wide(ans, 1)[0])
        if not 0 < count <= most:
            raise NodeError(f"a frame announces {count} levels more than its bytes can hold")
        at = _pop_wide(ans, count)
        if at.max() >= self._size:
            raise NodeError(f"a frame has a level {at.max()}, where there are {self._size}")
        levels[at] = ans.decode(_uniform(LEVELS), count) - MOST_LEVEL


def symbols_of(values: Integers) -> Integers:
    """0, 1, 2, 3 … for 1, -1, 2, -2 …."""
    symbols = np.abs(values)
    symbols += symbols
    symbols -= 1
    symbols -= values > 0
    return symbols


def digest(books: Sequence[Book]) -> int:
    """CRC-32 of what a message of all symbols of all books comes to here.

    `constriction` makes its own tables of the probabilities; where those of two nodes differed by
    the least, so would the digests.
    """
    import constriction

    ans = constriction.stream.stack.AnsCoder()
    for book in books:
        for weights in (book.masks, book.values):
            ans.encode_reverse(np.arange(weights.size, dtype=np.int32), _categorical(weights))
    return zlib.crc32(ans.get_compressed().astype("<u4").tobytes())


def _categorical(weights: Weights) -> Any:
    import constriction

    # whole numbers of 17 bits divided by 2**16: exact
    probabilities = weights.astype(np.float64) / TOTAL
    return constriction.stream.model.Categorical(probabilities, perfect=False)


@cache
def _uniform(size: int) -> Any:
    import constriction

    return constriction.stream.model.Uniform(size)


def _ans_of(data: bytes) -> Any:
    import constriction

    if len(data) % WORD_BYTES:
        raise NodeError(f"{len(data)} bytes are not a number of words of {WORD_BYTES} bytes")
    try:
        return constriction.stream.stack.AnsCoder(np.frombuffer(data, "<u4").astype(np.uint32))
    except ValueError as error:
        raise NodeError(f"{len(data)} bytes are no levels: {error}") from None


def _push(ans: Any, symbols: Integers, models: Sequence[Any], counts: Sequence[int]) -> None:
    """Symbols of one model after another, to be decoded from the first."""
    end = symbols.size
    for model, count in zip(reversed(models), reversed(counts), strict=True):
        if count:
            ans.encode_reverse(symbols[end - count : end], model)
        end -= count


def _pop(ans: Any, models: Sequence[Any], counts: Sequence[int]) -> Integers:
    found = [ans.decode(model, count) for model, count in zip(models, counts, strict=True) if count]
    return np.concatenate(found) if found else np.zeros(0, np.int32)


def _push_wide(ans: Any, numbers: npt.NDArray[np.int64]) -> None:
    for half in (numbers % HALF, numbers // HALF):
        ans.encode_reverse(half.astype(np.int32), _uniform(HALF))


def _pop_wide(ans: Any, count: int) -> npt.NDArray[np.int64]:
    upper, lower = (ans.decode(_uniform(HALF), count).astype(np.int64) for _ in range(2))
    return np.asarray(upper * HALF + lower)
