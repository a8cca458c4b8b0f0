"""Levels of bits: those of few are the upper bits of those of many, rounded.

    values ──> levels of 16 bits ──> their upper 8 bits, rounded ──> a model that runs at once
                            └──────> what these lack of them ──────> the update

Levels and scales are found again in the values themselves: a channel's greatest value is the top
level of the fewest bits.  So each step is a model like any other, which a coder ``int8:8`` carries.
"""

import math
from collections.abc import Iterable, Iterator
from itertools import pairwise

import numpy as np

from splitbed.errors import NodeError
from splitbed.model_coders.blocks import Block, blocks_of
from splitbed.model_coders.integers import STEPS, dequantised, quantised
from splitbed.model_coders.updates.update import Update
from splitbed.model_data.file import Array
from splitbed.tensors import TensorInfo

WEIGHTS = (np.float32,)
"""Levels of 16 bits do not fit into fewer."""
BLOCK_VALUES = 1 << 16
"""Refined at a time: few, as there are several arrays of as many meanwhile."""


def alone(first: int, bits: int) -> str:
    """The coder that carries a model of so many bits at once."""
    return f"int{bits}:{first}+zstd"


def kept(name: str, array: Array) -> Array:
    """The tensor as it is."""
    del name
    return array


def at(array: Array, first: int, bits: int) -> Array:
    """A weight at ``bits``; NodeError for values that are not finite."""
    return dequantised(*quantised(array, bits, first))


def refinement(array: Array, update: Update) -> tuple[Array, Array, Array]:
    """A weight before and after an update, and what it lacks before. Raises as :func:`at`."""
    coarse, fine = (quantised(array, bits, update.first) for bits in (update.low, update.high))
    left = update.high - update.low
    lacking = fine[0] - (coarse[0].astype(np.int16) << left)
    packed = _packed(lacking - np.int16(_least(update)), left)
    return dequantised(*coarse), dequantised(*fine), packed


def refined(
    info: TensorInfo, before: Iterable[Array], lacking: Array, update: Update
) -> Iterator[Array]:
    """Blocks of a weight after the update; NodeError where what it lacks does not fit."""
    left, size = update.high - update.low, math.prod(info.shape)
    if lacking.dtype != np.uint8 or lacking.shape != (_packed_bytes(size, left),):
        raise NodeError(
            f"the update of {info.name} {list(info.shape)} has {lacking.nbytes} bytes: it is"
            " damaged"
        )
    for block, array in zip(blocks_of(info, BLOCK_VALUES), before, strict=True):
        coarse, scales = quantised(array, update.low, update.first)
        fine = coarse.astype(np.int16)
        fine <<= left
        fine += _unpacked(lacking, size, left, block).reshape(array.shape)
        fine += np.int16(_least(update))
        yield dequantised(fine, scales / np.float32(2**left))


def _least(update: Update) -> int:
    """The least that a level lacks: each step that was left out has rounded up by up to a half."""
    return -sum(
        1 << (upper - lower - 1 + update.high - upper)
        for lower, upper in pairwise(STEPS)
        if update.low <= lower and upper <= update.high
    )


def _packed(lacking: Array, left: int) -> Array:
    """Numbers from 0 on of ``left`` bits: their lowest bytes, if they have any; then bits."""
    flat, below = lacking.reshape(-1), left // 8 * 8
    low = flat.astype(np.uint8) if below else np.empty(0, np.uint8)
    rest = (flat >> below).astype(np.uint8)[:, np.newaxis] >> np.arange(
        left - below, dtype=np.uint8
    )
    return np.concatenate([low, np.packbits(rest & 1)])


def _packed_bytes(size: int, left: int) -> int:
    return left // 8 * size + -(-size * (left % 8) // 8)


def _unpacked(packed: Array, size: int, left: int, block: Block) -> Array:
    """The numbers of a block again, of all ``size`` of a weight."""
    whole, rest, count = left // 8, left % 8, block.end - block.first
    low = packed[block.first : block.end].astype(np.int16) if whole else np.zeros(count, np.int16)
    begin, end = block.first * rest, block.end * rest
    above = packed[whole * size :][begin // 8 : -(-end // 8)]
    bits = np.unpackbits(above)[begin % 8 :][: end - begin].reshape(count, rest)
    for place in range(rest):
        low |= bits[:, place].astype(np.int16) << (8 * whole + place)
    return low
