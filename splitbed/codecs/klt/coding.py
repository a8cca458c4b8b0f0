"""Levels as bits: asymmetric numeral systems by `constriction`, with static tables by class.

Groups of coefficients stand in order of their classes, which are of the magnitude that calibration
saw.  Most levels are 0, and most others 1 either way.  A symbol takes as long whatever it stands
for, so that each stands for eight, where it can, of what the step before leaves:

    of eight groups of eight coefficients, which have any that is not 0: a mask
    of each group that has, which these are                              a mask
    of eight of these, which are beyond 1 either way                     a mask
    of each that is, how far                                             a value

No rate is lost so: the four are the levels' joint probability, taken apart.

    whether there are extras, a bit - the four, each class by class - signs - escapes - extras

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

from splitbed.codecs.klt.order import Groups
from splitbed.codecs.klt.symbols import (
    BEYOND,
    GROUP,
    Coded,
    Integers,
    Places,
    counts_of,
    groups_of,
    taken,
)
from splitbed.codecs.klt.transform import MOST_LEVEL
from splitbed.codecs.stage import Floats
from splitbed.errors import NodeError

Weights = npt.NDArray[np.uint16]
"""Probabilities of an alphabet, in parts of TOTAL; each is 1 or more."""

TOTAL = 1 << 16
MASKS = 1 << GROUP
MOST_VALUES = 4096
"""Symbols of a book."""
HALF = 1 << 16
WORD_BITS = 16
CHECK = 64
"""Of signs, how many are negative is told by the remainder of this."""
LEVELS = 2 * MOST_LEVEL + 1
"""How many there are; `constriction` has uniform alphabets of up to 2**24."""
ESCAPES = MOST_LEVEL - BEYOND + 1
"""Values that an escape may stand for."""
WORD_BYTES = 4
EXTRA_BITS = 32
"""Of an extra, at least: those of its place.  The greatest level takes but one, others 24."""


@dataclass(frozen=True)
class Book:
    """The probabilities of one class: of three kinds of masks, and of values.

    ``filled`` are masks of groups that have any, ``others`` of what is not 0 in such a group,
    ``large`` of what is beyond 1.  Values are magnitudes less BEYOND, and the last is an escape.
    """

    filled: Weights
    others: Weights
    large: Weights
    values: Weights

    @property
    def steps(self) -> tuple[Weights, Weights, Weights, Weights]:
        """In the order that they are coded in."""
        return self.filled, self.others, self.large, self.values


class LevelCoder:
    """Codes the levels of coefficients in ``groups`` by the books of their classes."""

    def __init__(self, groups: Groups, books: Sequence[Book]) -> None:
        self._groups, self._size = groups, groups.size
        self._is_left = np.ones(groups.size + 1, np.bool_)
        self._is_left[groups.rows] = False
        self._is_left = self._is_left[:-1]
        self._left = bool(self._is_left.any())
        self._escapes = np.array([book.values.size - 1 for book in books], np.int32)
        self._models = [
            [_categorical(weights) for weights in step]
            for step in zip(*(book.steps for book in books), strict=True)
        ] or [[] for _ in range(4)]

    def encode(self, levels: Floats, active: Places | None = None) -> bytes:
        """Whole numbers up to ``MOST_LEVEL`` either way; ``active`` as ``Groups.order`` has it."""
        import constriction

        levels = levels.reshape(-1)
        order = self._groups.order(active)
        coded = Coded.of(order.of(levels), order.ends)
        *masks, values = coded.symbols
        escapes = np.repeat(self._escapes, coded.counts[-1])
        ans = constriction.stream.stack.AnsCoder()  # last in, first out
        extras = self._left and np.count_nonzero(levels != 0) > coded.negative.size
        if extras:
            self._push_extras(ans, levels)
        escaped = values[values >= escapes]
        if escaped.size:
            ans.encode_reverse(escaped, _uniform(ESCAPES))
        _push_bits(ans, coded.negative)
        steps = zip([*masks, np.minimum(values, escapes)], self._models, coded.counts, strict=True)
        for symbols, models, counts in reversed([*steps]):
            _push(ans, symbols, models, counts)
        ans.encode_reverse(int(extras), _uniform(2))
        return bytes(ans.get_compressed().astype("<u4", copy=False).tobytes())

    def decode(self, data: bytes, into: Floats, active: Places | None = None) -> Floats:
        """The levels, which are written ``into`` that; NodeError for bits that no encoder made."""
        ans, order = _ans_of(data), self._groups.order(active)
        extras = ans.decode(_uniform(2))
        filled, ends = self._pop_masks(ans, 0, order.ends)
        which = _pop(ans, self._models[1], counts_of(ends)).astype(np.uint8)
        at, ends = taken(np.unpackbits(which).view(np.bool_), ends * GROUP)
        places = order.rows.take(filled, axis=0).reshape(-1).take(at)
        if order.short is not None and places.max(initial=0) == self._size:
            raise NodeError("a frame has levels where there is no coefficient")
        large, ends = self._pop_masks(ans, 2, ends)
        values = _pop(ans, self._models[3], counts_of(ends))
        signs = 1 - 2 * _pop_bits(ans, places.size).astype(np.float32)
        escaped = np.flatnonzero(values == np.repeat(self._escapes, counts_of(ends)))
        if escaped.size:
            values[escaped] = ans.decode(_uniform(ESCAPES), escaped.size)
        signs[large] *= values + BEYOND
        into.fill(0)
        levels = into.reshape(-1)
        levels[places] = signs
        if extras:
            self._pop_extras(ans, levels, most=len(data) * 8 // EXTRA_BITS)
        if not ans.is_empty():
            raise NodeError(f"{len(data)} bytes are no whole frame: damaged, or of other tables")
        return into

    def _pop_masks(self, ans: Any, step: int, ends: Places) -> tuple[Places, Places]:
        """Which are meant of those whose classes end there, and where classes of these end."""
        masks = _pop(ans, self._models[step], counts_of(groups_of(ends))).astype(np.uint8)
        count = int(ends[-1]) if ends.size else 0
        return taken(np.unpackbits(masks, count=count).view(np.bool_), ends)

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


def digest(books: Sequence[Book]) -> int:
    """CRC-32 of what a message of all symbols of all books comes to here.

    `constriction` makes its own tables of the probabilities; where those of two nodes differed by
    the least, so would the digests.
    """
    import constriction

    ans = constriction.stream.stack.AnsCoder()
    for book in books:
        for weights in book.steps:
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


def _push_bits(ans: Any, bits: npt.NDArray[np.bool_]) -> None:
    """As whole numbers, each as likely as all others, and behind them how many are set.

    One that is flipped on the way moves no other symbol: the number tells.
    """
    ans.encode_reverse(int(np.count_nonzero(bits)) % CHECK, _uniform(CHECK))
    packed = np.packbits(bits, bitorder="little")
    words = np.append(packed, [0] * (packed.size % 2)).astype(np.uint8).view("<u2")
    if rest := bits.size % WORD_BITS:
        ans.encode_reverse(int(words[-1]), _uniform(1 << rest))
    ans.encode_reverse(words[: bits.size // WORD_BITS].astype(np.int32), _uniform(HALF))


def _pop_bits(ans: Any, count: int) -> npt.NDArray[np.uint8]:
    words = ans.decode(_uniform(HALF), count // WORD_BITS)
    if rest := count % WORD_BITS:
        words = np.append(words, ans.decode(_uniform(1 << rest)))
    bits = np.unpackbits(words.astype("<u2").view(np.uint8), count=count, bitorder="little")
    if ans.decode(_uniform(CHECK)) != np.count_nonzero(bits) % CHECK:
        raise NodeError("a frame has other signs than it says: it is damaged")
    return bits


def _push_wide(ans: Any, numbers: npt.NDArray[np.int64]) -> None:
    for half in (numbers % HALF, numbers // HALF):
        ans.encode_reverse(half.astype(np.int32), _uniform(HALF))


def _pop_wide(ans: Any, count: int) -> npt.NDArray[np.int64]:
    upper, lower = (ans.decode(_uniform(HALF), count).astype(np.int64) for _ in range(2))
    return np.asarray(upper * HALF + lower)
