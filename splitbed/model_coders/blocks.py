"""A tensor in blocks: what is coded at a time, so that decoding overlaps receiving.

    a weight (64, 3, 7, 7)  ──> (64, 147)         rows of the first axis, as many as fit
    depthwise (1, 3, 3, 96) ──> (1, 3, 3, 96)     its channels are last: whole
    a bias (64,)            ──> (64,)

A channel is never in two blocks, so it has one scale.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from splitbed.errors import NodeError
from splitbed.model_data.file import Array
from splitbed.tensors import TensorInfo

FP16_WITHOUT_SIGN, FP16_INFINITY = 0x7FFF, 0x7C00

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


def blocks_of(info: TensorInfo, most_values: int | None = None) -> Iterator[Block]:
    """The blocks of a tensor, in order, of `MOST_VALUES` else; none where it has no values."""
    size, first = math.prod(info.shape), 0
    row = _row(info.shape)
    values = math.prod(row)
    most = max((most_values or MOST_VALUES) // max(values, 1), 1)
    while first < size:
        rows = min(most, (size - first) // values)
        yield Block(TensorInfo(info.name, info.datatype, (rows, *row)), first)
        first += rows * values


def refuse_nan(name: str, values: Array) -> None:
    """NodeError where a weight is no number; infinities are in masks, and cross."""
    if values.dtype.kind != "f" or not values.size:
        return
    if values.dtype == np.float16:  # whose bits numpy compares much faster
        found = (values.view(np.uint16) & FP16_WITHOUT_SIGN).max() > FP16_INFINITY
    else:
        with np.errstate(invalid="ignore"):
            found = np.isnan(values.min())  # one NaN makes it NaN
    if found:
        raise NodeError(f"{name} has weights that are NaN: no model computes with them")


def _row(shape: tuple[int, ...]) -> tuple[int, ...]:
    """What stands behind the axis that is cut."""
    if len(shape) < 2:
        return ()
    return shape[1:] if shape[0] == 1 else (math.prod(shape[1:]),)
