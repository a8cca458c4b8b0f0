"""Model data in increments (clause 10.6): a coarse model first, then updates that refine it.

An update holds what a coarse model lacks of a finer one, and its base is named by hash: what it
makes is the fine model to the bit, as if that had been sent alone.  Any number of steps: of bits,
as 4, 6, 8, 16 (:mod:`splitbed.model_coders.updates.bits`), or of NNC's quantisers, as -20, -38
(:mod:`splitbed.model_coders.updates.nnc`).  An update may come weight by weight, each time for
some of them.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import BinaryIO, Protocol

import numpy as np

from splitbed.errors import NodeError, UsageError
from splitbed.model_coders import coder_named
from splitbed.model_coders.decoder import MOST_BYTES, Decoder
from splitbed.model_coders.encoder import encode
from splitbed.model_coders.integers import STEPS
from splitbed.model_coders.nnc import FEW_QP
from splitbed.model_coders.rebuilding import Rebuilt
from splitbed.model_coders.updates import bits as of_bits
from splitbed.model_coders.updates import nnc as of_nnc
from splitbed.model_coders.updates.update import Update, mask
from splitbed.model_coders.updates.update import written as update_written
from splitbed.model_data import ModelFile, digest, model_of
from splitbed.model_data.file import Array, written

STEP, RESULT = "splitbed.increment", "splitbed.result"
"""Tensors of an update: the first step of all, that of its base, its own; its result's digest."""
UPDATE_CODER = coder_named("zstd")
STEP_QPS = range(FEW_QP, 1)
"""Finer ones would be of biases and norms, too."""


class Rounding(Protocol):
    """How weights are rounded, step by step; a module."""

    @property
    def WEIGHTS(self) -> tuple[type[np.generic], ...]:  # noqa: N802  a constant of the module
        """Of which their values may be: what is a level can be told from these again."""

    def alone(self, first: int, number: int) -> str:
        """The coder that carries, at once, a model whose steps begin at ``first``."""

    def kept(self, name: str, array: Array) -> Array:
        """What becomes of a tensor that no update refines. Raises UsageError where one should."""

    def at(self, array: Array, first: int, number: int) -> Array:
        """A weight at a step. Raises NodeError for values that are not finite."""

    def refinement(self, array: Array, update: Update) -> tuple[Array, Array, Array]:
        """A weight before and after an update, and what it lacks before. Raises as ``at``."""

    def refined(self, name: str, array: Array, lacking: Array, update: Update) -> Array:
        """It after the update, of the one before; NodeError where what it lacks does not fit."""


def update_named(text: str) -> Update | None:
    """The update of that name; None where it is no update's. Raises UsageError for its steps."""
    if (update := update_written(text)) is not None:
        check([*dict.fromkeys((update.first, update.low, update.high))])
    return update


def steps(numbers: Sequence[int], groups: Sequence[Sequence[int]] = ()) -> list[str]:
    """What carries a model of so many bits: the coder of the first, then updates by name.

    ``numbers`` may be NNC's quantisers. With ``groups`` of weights, by their places, each update
    comes in as many.
    """
    check(numbers)
    names = [alone(numbers, 0)]
    for low, high in pairwise(numbers):
        done = 0
        for some in [mask(group) for group in groups] or [0]:
            names.append(Update(numbers[0], low, high, done, some).name)
            done |= some
    return names


def weights_of(model: ModelFile, first: int) -> list[str]:
    """The weights that updates refine, in the order of their places; ``first`` step of all."""
    levels = _rounding(first)
    return [name for name, array in model.state.items() if _refined(array, levels)]


def alone(numbers: Sequence[int], place: int) -> str:
    """The coder that carries, at once, what the steps up to ``place`` make."""
    return _rounding(numbers[0]).alone(numbers[0], numbers[place])


def at(model: ModelFile, number: int, first: int) -> ModelFile:
    """The model at a step. Raises NodeError for values that are not finite."""
    levels = _rounding(first)
    return model.replaced(
        {
            name: levels.at(array, first, number)
            if _refined(array, levels)
            else levels.kept(name, array)
            for name, array in model.state.items()
        }
    )


def encoded(model: ModelFile, name: str) -> Iterator[bytes]:
    """The bitstream of ``model`` by a coder, or of an update of it; raises as these do."""
    update = update_named(name)
    return encode_update(model, update) if update else encode(model, coder_named(name))


def encode_update(model: ModelFile, update: Update) -> Iterator[bytes]:
    """The bitstream of an update of ``model``, which is finer than any step.

    Raises:
        NodeError: values that are not finite.
    """
    levels = _rounding(update.first)
    base = {
        name: array if _refined(array, levels) else levels.kept(name, array)
        for name, array in model.state.items()
    }
    result, lacks = dict(base), dict[str, Array]()
    for place, name in enumerate(weights_of(model, update.first)):
        coarse, fine, lacking = levels.refinement(model.state[name], update)
        has, gets = update.follows(place), update.refines(place)
        base[name] = fine if has else coarse
        result[name] = fine if has or gets else coarse
        if gets:
            lacks[name] = lacking
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
        array = self._state.get(name)
        levels = _rounding(step.first)
        if array is None or not _refined(array, levels):
            raise NodeError(f"the update refines {name}, and no such weight is here")
        self._state[name] = levels.refined(name, array, lacking, step)


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


def check(numbers: Sequence[int]) -> None:
    """Raise UsageError unless they are bits that ascend, or quantisers that descend."""
    ordered = sorted(set(numbers)) == list(numbers) and {*numbers} <= set(STEPS)
    finer = sorted(set(numbers), reverse=True) == list(numbers) and {*numbers} <= set(STEP_QPS)
    if len(numbers) < 2 or not (ordered or finer):
        raise UsageError(
            f"bits {', '.join(map(str, numbers)) or 'none'}: give two or more of"
            f" {', '.join(map(str, STEPS))} that ascend; or quantisers of NNC, from"
            f" {STEP_QPS[-1]} down to {STEP_QPS[0]}, that descend"
        )


def _step(told: Array) -> Update:
    if told.shape != (3,) or told.dtype != np.int32:
        raise NodeError("the bitstream is no update of a model: it does not say of which bits")
    first, low, high = map(int, told)
    try:
        check([*dict.fromkeys((first, low, high))])
    except UsageError:
        raise NodeError(
            f"the update is from {low} to {high} bits, of {first}: it is damaged"
        ) from None
    return Update(first, low, high)


def _rounding(number: int) -> Rounding:
    return of_nnc if number <= 0 else of_bits


def _refined(array: Array, levels: Rounding) -> bool:
    """Whether a tensor is a weight: biases and norms, which are few, are sent whole at once."""
    return array.ndim > 1 and array.dtype in levels.WEIGHTS
