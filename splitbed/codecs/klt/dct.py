"""The DCT of planes, block by block."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from splitbed.codecs.stage import Array, Floats

BLOCKS = (0, 4, 8)
"""Sides of the blocks that a DCT may have; 0 is none."""
PIECE = 16
"""Of a row of places, what is transformed by one matrix: of whole rows it would be nearly all 0."""

Piece = tuple[slice, Floats]


@dataclass(frozen=True)
class Dct:
    """DCT-II of blocks of ``side`` in every plane; the last blocks of a row or column are shorter.

    A coefficient's frequency is that of rows times ``side`` plus that of columns; a shorter block's
    is the nearest of a whole one.
    """

    plane: tuple[int, int]
    side: int

    @property
    def frequencies(self) -> int:
        """How many there are."""
        return max(self.side, 1) ** 2

    @cached_property
    def frequency(self) -> Array:
        """Of each place of a plane, INT64 of its shape."""
        rows, columns = (_frequency(length, self.side) for length in self.plane)
        return rows[:, None] * max(self.side, 1) + columns

    @cached_property
    def block(self) -> Array:
        """Of each place of a plane, INT64 of its shape, counted row by row of blocks."""
        side = max(self.side, 1)
        rows, columns = (np.arange(length) // side for length in self.plane)
        return np.asarray(rows[:, None] * (columns.max(initial=0) + 1) + columns)

    @cached_property
    def scan(self) -> Array:
        """The places of a plane, block by block, in each by frequency."""
        return np.lexsort((self.frequency.ravel(), self.block.ravel()))

    def forward(self, values: Floats, half: Floats) -> Floats:
        """The coefficients of rows that are planes in a row, which take their place.

        ``half`` is as large, and is written to.
        """
        if not self.side:
            return values
        rows, columns = self._pieces
        for piece, matrix in columns:
            np.matmul(self._lines(values)[:, piece], matrix.T, out=self._lines(half)[:, piece])
        for piece, matrix in rows:
            np.matmul(matrix, self._planes(half)[:, piece], out=self._planes(values)[:, piece])
        return values

    def back(self, coefficients: Floats, half: Floats, values: Floats) -> Floats:
        """What :meth:`forward` took, as ``values``, which may be where the coefficients are."""
        if not self.side:
            return coefficients
        rows, columns = self._pieces
        for piece, matrix in rows:
            of = self._planes(coefficients)[:, piece]
            np.matmul(matrix.T, of, out=self._planes(half)[:, piece])
        for piece, matrix in columns:
            np.matmul(self._lines(half)[:, piece], matrix, out=self._lines(values)[:, piece])
        return values

    def _lines(self, rows: Floats) -> Floats:
        return rows.reshape(-1, self.plane[1])

    def _planes(self, rows: Floats) -> Floats:
        return rows.reshape(-1, *self.plane)

    @cached_property
    def _pieces(self) -> tuple[list[Piece], list[Piece]]:
        rows, columns = (list(_pieces_of(length, self.side)) for length in self.plane)
        return rows, columns


def _pieces_of(length: int, side: int) -> Iterator[Piece]:
    """Of a row of blocks, its pieces, each with its matrix; whole ones have the same."""
    whole = _matrix(PIECE, side) if length >= PIECE else None
    for start in range(0, length, PIECE):
        size = min(PIECE, length - start)
        matrix = _matrix(size, side) if whole is None or size < PIECE else whole
        yield slice(start, start + PIECE), matrix


def _matrix(length: int, side: int) -> Floats:
    """That of a row of blocks."""
    from scipy.fft import dct

    matrix = np.zeros((length, length), np.float32)
    for start in range(0, length, side):
        block = slice(start, min(start + side, length))
        matrix[block, block] = dct(np.eye(block.stop - start), axis=0, norm="ortho")
    return matrix


def _frequency(length: int, side: int) -> Array:
    """Of each row of that matrix; 0 where there is none."""
    if not side:
        return np.zeros(length, np.int64)
    place, last = np.arange(length), length % side
    whole = place % side
    whole[length - last :] = np.arange(last) * side // max(last, 1)
    return whole
