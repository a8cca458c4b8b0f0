"""A tensor in blocks: what is coded at a time, so that decoding overlaps receiving.

    a weight (64, 3, 7, 7)  ──> (64, 147)         rows of the first axis, as many as fit
    depthwise (1, 3, 3, 96) ──> (1, 3, 3, 96)     its channels are last: whole
    a bias (64,)            ──> (64,)

A channel is never in two blocks, so it has one scale.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from splitbed.tensors import TensorInfo

MOST_VALUES = 1 << 18
"""Of a block; a row that has more stays whole."""


@dataclass(frozen=True)
class Block:
    """Some of a tensor's values, from ``first`` on in C order."""

    info: TensorInfo
    first: int

    @property
    def end(self) -> int:
        """Behind the last of them."""
        return self.first + math.prod(self.info.shape)


def blocks_of(info: TensorInfo) -> Iterator[Block]:
    """The blocks of a tensor, in order; none where it has no values."""
    size, first = math.prod(info.shape), 0
    row = _row(info.shape)
    values = math.prod(row)
    most = max(MOST_VALUES // max(values, 1), 1)
    while first < size:
        rows = min(most, (size - first) // values)
        yield Block(TensorInfo(info.name, info.datatype, (rows, *row)), first)
        first += rows * values


def _row(shape: tuple[int, ...]) -> tuple[int, ...]:
    """What stands behind the axis that is cut."""
    if len(shape) < 2:
        return ()
    return shape[1:] if shape[0] == 1 else (math.prod(shape[1:]),)
