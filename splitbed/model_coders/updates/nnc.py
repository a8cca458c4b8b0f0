"""Levels of NNC's uniform quantiser, of large steps, then of small ones.

    values ──> levels of a large step ──> a model that runs at once
      └──────> levels of a small one, less what the large one says of them ──> the update

What is likely of an update follows from the large levels, which both ends have: NNC's temporal
context.  Levels are found again in the values, which are multiples of a step.
"""

from collections.abc import Iterable, Iterator

import numpy as np

from splitbed.errors import NodeError, UsageError
from splitbed.model_coders.bitstream import LENGTH
from splitbed.model_coders.blocks import MOST_VALUES, blocks_of
from splitbed.model_coders.nnc import FEW_QP, DeepCabac, Indices, library, step
from splitbed.model_coders.updates.update import Update
from splitbed.model_data.file import Array, info_of
from splitbed.tensors import TensorInfo

WEIGHTS = (np.float32, np.float16)
"""Of the latter, levels are refused that do not fit."""
BLOCK_VALUES = MOST_VALUES
"""What it lacks was coded so."""


def alone(first: int, qp: int) -> str:
    """The coder that carries a model of this quantiser at once."""
    del first
    return f"nnc-uniform:{qp}"


def kept(name: str, array: Array) -> Array:
    """A bias or norm as the coder has it, of its fine step; all else as it is.

    Raises UsageError for a weight that is neither FP32 nor FP16.
    """
    if array.dtype.kind != "f" or not array.ndim:
        return array
    if array.ndim > 1:
        raise UsageError(
            f"NNC's updates are of FP32 and FP16 weights, and {name} is {array.dtype}: code it at"
            " once"
        )
    return at(array, 0, FEW_QP).astype(array.dtype)


def at(array: Array, first: int, qp: int) -> Array:
    """A weight as the quantiser has it; NodeError for values that are not finite, or too large."""
    del first
    values = [coding.dequantised(_levels(coding, part, qp), qp) for coding, part in _blocks(array)]
    return _whole(values, array)


def refinement(array: Array, update: Update) -> tuple[Array, Array, Array]:
    """A weight before and after an update, and what it lacks before. Raises as :func:`at`."""
    lacks, before, after = list[bytes](), list[Array](), list[Array]()
    for coding, part in _blocks(array):
        coarse, fine = (_levels(coding, part, qp) for qp in (update.low, update.high))
        coded = coding.packed(fine - _foreseen(coarse, update), update.high, coarse)
        lacks += [LENGTH.pack(len(coded)), coded]
        before.append(coding.dequantised(coarse, update.low).astype(array.dtype))
        if not np.array_equal(_again(coding, before[-1], update.low), coarse):
            raise NodeError(
                f"its values are too large for the quantiser {update.low} in {array.dtype}: take"
                " one nearer to 0"
            )
        after.append(coding.dequantised(fine, update.high))
    packed = np.frombuffer(b"".join(lacks), np.uint8)
    return _whole(before, array), _whole(after, array), packed


def refined(
    info: TensorInfo, before: Iterable[Array], lacking: Array, update: Update
) -> Iterator[Array]:
    """Blocks of a weight after the update; NodeError where what it lacks does not fit."""
    name = info.name
    if lacking.dtype != np.uint8:
        raise NodeError(f"the update of {name} is damaged")
    data = lacking.reshape(-1)
    for part in before:
        coding = _coding(part.shape)
        (nbytes,) = LENGTH.unpack(data[: LENGTH.size].tobytes().ljust(LENGTH.size, b"\0"))
        coded, data = data[LENGTH.size : LENGTH.size + nbytes], data[LENGTH.size + nbytes :]
        coarse = _again(coding, part, update.low)
        lacks, qp = coding.unpacked(coded, coarse)
        if qp != update.high:
            raise NodeError(f"the update of {name} is of the quantiser {qp}: it is damaged")
        yield _as(part, coding.dequantised(lacks + _foreseen(coarse, update), qp))
    if data.size:
        raise NodeError(f"the update of {name} goes on beyond its end: it is damaged")


def _foreseen(coarse: Indices, update: Update) -> Indices:
    """The fine level in the middle of a coarse one."""
    foreseen: Indices = np.rint(coarse * (step(update.low) / step(update.high))).astype(np.int32)
    return foreseen


def _again(coding: DeepCabac, values: Array, qp: int) -> Indices:
    """The levels that values stand for."""
    found: Indices = np.rint(values.reshape(coding.shape).astype(np.float32) / step(qp)).astype(
        np.int32
    )
    return found


def _levels(coding: DeepCabac, part: Array, qp: int) -> Indices:
    levels, found = coding.quantised(part, qp)
    if found != qp:
        raise NodeError(f"its values are too large for the quantiser {qp}: take one nearer to 0")
    return levels


def _blocks(array: Array) -> Iterator[tuple[DeepCabac, Array]]:
    values = np.asarray(array, order="C").reshape(-1)
    for block in blocks_of(info_of("a weight", array)):
        yield _coding(block.info.shape), values[block.first : block.end]


def _coding(shape: tuple[int, ...]) -> DeepCabac:
    return DeepCabac(library(), shape, dependent=False)


def _whole(blocks: list[Array], like: Array) -> Array:
    flat = [block.reshape(-1) for block in blocks]
    return _as(like, np.concatenate(flat) if flat else np.empty(0, np.float32))


def _as(like: Array, values: Array) -> Array:
    with np.errstate(over="ignore"):
        return values.reshape(like.shape).astype(like.dtype)
