"""Bit-incremental model data (clause 10.6): a coarse model first, then updates that refine it.

    values ──> levels of 16 bits ──> their upper 8 bits, rounded ──> a model that runs at once
                            └──────> what these lack of them ──────> the update

An update holds whole numbers, and its base is named by hash: what it makes is the fine model to
the bit, as if that had been sent alone.  Any number of steps, as 4, 6, 8, 16; and an update may
come weight by weight, each time for some of them.

Levels and scales are found again in the values themselves: a channel's greatest value is the top
level of the fewest bits.  So each step is a model like any other, which a coder ``int8:8`` carries.
"""

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import BinaryIO

import numpy as np

from splitbed.errors import NodeError, UsageError
from splitbed.model_coders import coder_named
from splitbed.model_coders.decoder import MOST_BYTES, Decoder
from splitbed.model_coders.encoder import encode
from splitbed.model_coders.integers import STEPS, dequantised, quantised
from splitbed.model_coders.rebuilding import Rebuilt
from splitbed.model_data import ModelFile, digest, model_of
from splitbed.model_data.file import Array, written

STEP, RESULT = "splitbed.increment", "splitbed.result"
"""Tensors of an update: the fewest bits of all, those of its base, its own; its result's digest."""
UPDATE_CODER = coder_named("zstd")
_UPDATE = re.compile(r"update:(\d+):(\d+)(?::(\d+))?(?:/([0-9a-f]+)/([0-9a-f]+))?", re.ASCII)


@dataclass(frozen=True)
class Update:
    """From ``low`` bits to ``high``, of a model whose first step had ``first``.

    Of all weights; or, where ``some`` is not 0, of those whose places among the weights are bits
    of it, when those of ``done`` have come.
    """

    first: int
    low: int
    high: int
    done: int = 0
    some: int = 0

    @property
    def name(self) -> str:
        """``update:8:16``; with the first bits before them where these are others.

        Of some weights ``update:8:16/DONE/SOME``, in hexadecimal digits.
        """
        first = "" if self.first == self.low else f"{self.first}:"
        of = f"/{self.done:x}/{self.some:x}" if self.some else ""
        return f"update:{first}{self.low}:{self.high}{of}"

    def refines(self, place: int) -> bool:
        """Whether it is of the weight at this place."""
        return not self.some or bool(self.some >> place & 1)

    def follows(self, place: int) -> bool:
        """Whether the weight there has its bits already."""
        return bool(self.done >> place & 1)


def update_named(text: str) -> Update | None:
    """The update of that name; None where it is no update's. Raises UsageError for its bits."""
    if not (named := _UPDATE.fullmatch(text)):
        return None
    *numbers, done, some = named.groups()
    bits = [int(number) for number in numbers if number]
    check(bits)
    low, high = bits[-2:]
    update = Update(bits[0], low, high, int(done or "0", 16), int(some or "0", 16))
    if update.done & update.some or (done and not update.some):
        raise UsageError(f"{text[:100]} refines no weights, or some that it says are refined")
    return update


def steps(bits: Sequence[int], groups: Sequence[Sequence[int]] = ()) -> list[str]:
    """What carries a model of so many bits: the coder of the first, then updates by name.

    With ``groups`` of weights, by their places, each update comes in as many.
    """
    check(bits)
    names = [alone(bits, 0)]
    for low, high in pairwise(bits):
        done = 0
        for some in [_mask(group) for group in groups] or [0]:
            names.append(Update(bits[0], low, high, done, some).name)
            done |= some
    return names


def weights_of(model: ModelFile) -> list[str]:
    """The weights that updates refine, in the order of their places."""
    return [name for name, array in model.state.items() if _refined(array)]


def alone(bits: Sequence[int], place: int) -> str:
    """The coder that carries, at once, what the steps up to ``place`` make."""
    return f"int{bits[place]}:{bits[0]}+zstd"


def at(model: ModelFile, bits: int, first: int) -> ModelFile:
    """The model at ``bits``. Raises NodeError for values that are not finite."""
    return model.replaced(
        {
            name: dequantised(*quantised(array, bits, first)) if _refined(array) else array
            for name, array in model.state.items()
        }
    )


def encoded(model: ModelFile, name: str) -> Iterator[bytes]:
    """The bitstream of ``model`` by a coder, or of an update of it; raises as these do."""
    update = update_named(name)
    return encode_update(model, update) if update else encode(model, coder_named(name))


def encode_update(model: ModelFile, update: Update) -> Iterator[bytes]:
    """The bitstream of an update of ``model``, whatever bits it has more.

    Raises:
        NodeError: values that are not finite.
    """
    base, result, lacks = dict(model.state), dict(model.state), dict[str, Array]()
    left = update.high - update.low
    for place, name in enumerate(weights_of(model)):
        coarse, fine = (
            quantised(model.state[name], bits, update.first) for bits in (update.low, update.high)
        )
        has, gets = update.follows(place), update.refines(place)
        base[name] = dequantised(*(fine if has else coarse))
        result[name] = dequantised(*(fine if has or gets else coarse))
        if gets:
            lacking = fine[0] - (coarse[0].astype(np.int16) << left)
            lacks[name] = _packed(lacking - np.int16(_least(update)), left)
    told: dict[str, Array] = {
        STEP: np.array([update.first, update.low, update.high], np.int32),
        RESULT: np.frombuffer(bytes.fromhex(digest(result)), np.uint8),
    }
    yield from encode(model_of(told | lacks), UPDATE_CODER, base=digest(base))


class Updating:
    """Takes the bitstream of an update in pieces cut anywhere, and refines ``base`` as it comes.

    Every method raises NodeError where it is damaged, foreign, or an update of another model.
    """

    def __init__(self, base: ModelFile, *, most_bytes: int = MOST_BYTES) -> None:
        self._base, self._state = base, dict(base.state)
        self._decoder = Decoder(most_bytes=most_bytes, base=digest(base.state))
        self._step: Update | None = None
        self._result = ""

    @property
    def digest(self) -> str:
        """Of the finer state, as the update says."""
        return self._result

    def feed(self, data: bytes) -> None:
        """Refine each weight of which ``data`` is the end."""
        for name, array in self._decoder.feed(data):
            if name == STEP:
                self._step = _step(array)
            elif name == RESULT:
                self._result = array.tobytes().hex()
            else:
                self._refine(name, array)

    def finish(self) -> ModelFile:
        """The finer model; it was whole, and is the one that the update was made for."""
        self._decoder.finish()
        if self._step is None or digest(self._state) != self._result:
            raise NodeError("the update does not make the model that it was made for (sha256)")
        return self._base.replaced(self._state)

    def _refine(self, name: str, lacking: Array) -> None:
        if (step := self._step) is None:
            raise NodeError("the bitstream is no update of a model: it does not say of which bits")
        array, left = self._state.get(name), step.high - step.low
        if array is None or not _refined(array):
            raise NodeError(f"the update refines {name}, and no such weight is here")
        coarse, scales = quantised(array, step.low, step.first)
        lacks = _unpacked(name, lacking, array.shape, left)
        fine = (coarse.astype(np.int32) << left) + lacks + _least(step)
        self._state[name] = dequantised(fine.astype(np.int16), scales / np.float32(2**left))


class Refining:
    """As :class:`splitbed.model_coders.rebuilding.Rebuilding`, of an update of ``base``."""

    def __init__(self, file: BinaryIO, base: ModelFile, *, most_bytes: int = MOST_BYTES) -> None:
        self._file, self._updating = file, Updating(base, most_bytes=most_bytes)

    def feed(self, data: bytes) -> None:
        """Refine what is known with ``data``."""
        self._updating.feed(data)

    def finish(self) -> Rebuilt:
        """What was written; NodeError unless the update was whole and right."""
        model = self._updating.finish()
        sha256 = written(model, self._file)
        self._file.flush()
        return Rebuilt(self._updating.digest, sha256, model.nbytes)


def decode_update(pieces: Iterable[bytes], base: ModelFile) -> ModelFile:
    """The finer model that a bitstream makes of ``base``; raises as :class:`Updating`."""
    updating = Updating(base)
    for piece in pieces:
        updating.feed(piece)
    return updating.finish()


def check(bits: Sequence[int]) -> None:
    """Raise UsageError unless they are two or more of :data:`STEPS` that ascend."""
    if len(bits) < 2 or sorted(set(bits)) != list(bits) or not set(bits) <= set(STEPS):
        raise UsageError(
            f"bits {', '.join(map(str, bits)) or 'none'}: give two or more of"
            f" {', '.join(map(str, STEPS))} that ascend"
        )


def _step(told: Array) -> Update:
    if told.shape != (3,) or told.dtype != np.int32:
        raise NodeError("the bitstream is no update of a model: it does not say of which bits")
    first, low, high = map(int, told)
    if not {first, low, high} <= set(STEPS) or not first <= low < high:
        raise NodeError(f"the update is from {low} to {high} bits, of {first}: it is damaged")
    return Update(first, low, high)


def _mask(places: Iterable[int]) -> int:
    return sum(1 << place for place in {*places})


def _refined(array: Array) -> bool:
    """Whether a tensor is a weight: biases and norms, which are few, are sent whole at once."""
    return array.ndim > 1 and array.dtype == np.float32


def _least(update: Update) -> int:
    """The least that a level lacks: each step that was left out has rounded up by up to a half."""
    return -sum(
        1 << (upper - lower - 1 + update.high - upper)
        for lower, upper in pairwise(STEPS)
        if update.low <= lower and upper <= update.high
    )


def _packed(lacking: Array, left: int) -> Array:
    """Numbers from 0 on of ``left`` bits: their lowest bytes, if they have any; then bits."""
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
    return low.reshape(shape)
