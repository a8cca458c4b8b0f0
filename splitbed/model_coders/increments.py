"""Bit-incremental model data (clause 10.6): a coarse model first, then updates that refine it.

    values ──> levels of 16 bits ──> their upper 8 bits, rounded ──> a model that runs at once
                            └──────> what these lack of them ──────> the update

An update holds whole numbers, and its base is named by hash: what it makes is the fine model to
the bit, as if that had been sent alone.  Any number of steps, as 4, 6, 8, 16.

Levels and scales are found again in the values themselves: a channel's greatest value is the top
level of the fewest bits, so :func:`quantised` gives for it what :func:`stages` had.  That is why a
model of few bits is an ordinary one, which any coder ``int8`` carries.
"""

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

from splitbed.codecs.stage import Floats
from splitbed.errors import NodeError, UsageError
from splitbed.model_coders import ModelCoder, coder_named
from splitbed.model_coders.decoder import Decoder
from splitbed.model_coders.encoder import encode
from splitbed.model_coders.integers import Levels, dequantised, quantised
from splitbed.model_data import ModelFile, digest, model_of
from splitbed.model_data.file import Array, State

STEP = "splitbed.increment"
"""The tensor of an update that says which bits it is from and to: the fewest, those, these."""
UPDATE_CODER = "zstd"
BITS = (4, 6, 8, 16)
"""Those that there is a coder of."""


def stages(model: ModelFile, bits: Sequence[int]) -> list[ModelFile]:
    """The model at each of ``bits``, which ascend: each is what the next one is an update of.

    Raises:
        UsageError: bits that cannot be, or weights that are not FP32.
        NodeError: values that are not finite.
    """
    check(bits)
    held: list[dict[str, Array]] = [{} for _ in bits]
    for name, array in model.state.items():
        levels = _levels(name, array, bits) if _refined(array) else None
        for place, state in enumerate(held):
            state[name] = array if levels is None else levels[place]
    return [model.replaced(state) for state in held]


def coder_of(bits: Sequence[int], place: int = 0) -> ModelCoder:
    """What codes, alone, the model at ``bits[place]``."""
    first = "" if bits[place] == bits[0] else f":{bits[0]}"
    return coder_named(f"int{bits[place]}{first}+zstd")


def updates(made: Sequence[ModelFile], bits: Sequence[int]) -> Iterator[tuple[ModelFile, str]]:
    """Of :func:`stages`: each update as model data, and the digest of its base."""
    for (base, finer), (low, high) in zip(pairwise(made), pairwise(bits), strict=True):
        state: dict[str, Array] = {STEP: np.array([bits[0], low, high], np.int32)}
        for name, array in finer.state.items():
            if _refined(array):
                coarse = _found(base.state[name], low, bits[0])[0].astype(np.int32)
                fine = _found(array, high, bits[0])[0]
                lacking = fine - (coarse << (high - low))
                state[name] = _packed(lacking, high - low)
        yield model_of(state), digest(base.state)


def coded(update: ModelFile, base: str) -> Iterator[bytes]:
    """The bitstream of an update of the state whose digest is ``base``."""
    return encode(update, coder_named(UPDATE_CODER), base=base)


def decoded(bitstream: bytes, base: ModelFile) -> ModelFile:
    """The finer model that a bitstream of :func:`coded` makes of ``base``.

    Raises:
        NodeError: it is damaged, foreign, or an update of another model.
    """
    decoder = Decoder(base=digest(base.state))
    decoder.feed(bitstream)
    return refined(base, decoder.finish().state)


def refined(base: ModelFile, update: State) -> ModelFile:
    """``base`` with the bits that ``update`` adds. Raises NodeError where it does not fit."""
    first, low, high = _step(update)
    state, left = dict(base.state), high - low
    for name, lacking in update.items():
        if name == STEP:
            continue
        array = state.get(name)
        if array is None or not _refined(array):
            raise NodeError(f"the update refines {name}, and no such weight is here")
        coarse, scales = _found(array, low, first)
        fine = (coarse.astype(np.int32) << left) + _unpacked(name, lacking, array.shape, left)
        state[name] = dequantised(fine.astype(np.int16), scales / np.float32(2**left))
    return base.replaced(state)


def check(bits: Sequence[int]) -> None:
    """Raise UsageError unless they are two or more of ``BITS`` that ascend."""
    if len(bits) < 2 or sorted(set(bits)) != list(bits) or not set(bits) <= set(BITS):
        raise UsageError(
            f"bits {', '.join(map(str, bits)) or 'none'}: give two or more of"
            f" {', '.join(map(str, BITS))} that ascend"
        )


def _step(update: State) -> tuple[int, int, int]:
    told = update.get(STEP)
    if told is None or told.shape != (3,) or told.dtype.kind != "i":
        raise NodeError("the bitstream is no update of a model: it does not say of which bits")
    first, low, high = map(int, told)
    if not {first, low, high} <= set(BITS) or not first <= low < high:
        raise NodeError(f"the update is from {low} to {high} bits, of {first}: it is damaged")
    return first, low, high


def _refined(array: Array) -> bool:
    """Whether a tensor is a weight: biases and norms, which are few, are sent whole at once."""
    return array.ndim > 1 and array.dtype == np.float32


def _packed(lacking: Array, left: int) -> Array:
    """Numbers of ``left`` bits: all lowest bytes, where they have as many, then bits, packed."""
    flat, whole = lacking.reshape(-1), left // 8 * 8
    low = flat.astype(np.uint8) if whole else np.empty(0, np.uint8)
    rest = (flat >> whole).astype(np.uint8)[:, np.newaxis] >> np.arange(
        left - whole, dtype=np.uint8
    )
    return np.concatenate([low, np.packbits(rest & 1)])


def _unpacked(name: str, packed: Array, shape: tuple[int, ...], left: int) -> Array:
    """The numbers again, of ``shape``; NodeError where they are not as many."""
    size, whole, rest = math.prod(shape), left // 8, left % 8
    if packed.dtype != np.uint8 or packed.shape != (whole * size + -(-size * rest // 8),):
        raise NodeError(
            f"the update of {name} {list(shape)} has {packed.nbytes} bytes: it is damaged"
        )
    low = packed[:size].astype(np.int32) if whole else np.zeros(size, np.int32)
    bits = np.unpackbits(packed[whole * size :], count=size * rest).reshape(size, rest)
    for place in range(rest):
        low |= bits[:, place].astype(np.int32) << (8 * whole + place)
    half = np.int32(1 << (left - 1))
    return ((low ^ half) - half).reshape(shape)  # the sign, which is the highest bit


def _found(array: Array, bits: int, first: int) -> tuple[Levels, Floats]:
    return quantised(array, bits, None if bits == first else first)


def _levels(name: str, array: Array, bits: Sequence[int]) -> list[Array]:
    """The values at each of ``bits``."""
    try:
        fine, scales = quantised(array, bits[-1], bits[0])
    except NodeError as error:
        raise NodeError(f"{name}: {error}") from error
    scales = _settled(scales, bits[0])
    levels, values = fine.astype(np.int32), [dequantised(fine, scales)]
    for low, high in list(pairwise(bits))[::-1]:
        left = high - low
        levels = (levels + (1 << left >> 1)) >> left  # so an update has exactly ``left`` bits
        scales = scales * np.float32(2**left)
        values.insert(0, dequantised(levels.astype(np.int16), scales))
    return values


def _settled(scales: Floats, first: int) -> Floats:
    """Those of which a channel's greatest value, rounded to FP32, gives the same again."""
    top = np.float32(2 ** (first - 1) - 1)
    while not np.array_equal(again := scales * top / top, scales):
        scales = again
    return scales
