"""Model data in increments (clause 10.6): a coarse model first, then updates that refine it.

An update holds what a coarse model lacks of a finer one, and its base is named by hash: what it
makes is the fine model to the bit, as if that had been sent alone.  Any number of steps: of bits,
as 4, 6, 8, 16 (:mod:`splitbed.model_coders.updates.bits`), or of NNC's quantisers, as -20, -38
(:mod:`splitbed.model_coders.updates.nnc`).  An update may come weight by weight, each time for
some of them.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from io import BytesIO
from itertools import pairwise
from typing import BinaryIO, Protocol

import numpy as np

from splitbed.errors import NodeError, UsageError
from splitbed.model_coders import coder_named
from splitbed.model_coders.blocks import blocks_of
from splitbed.model_coders.decoder import MOST_BYTES, Tensors
from splitbed.model_coders.encoder import encode
from splitbed.model_coders.integers import STEPS
from splitbed.model_coders.nnc import FEW_QP
from splitbed.model_coders.rebuilding import Rebuilt
from splitbed.model_coders.updates import bits as of_bits
from splitbed.model_coders.updates import nnc as of_nnc
from splitbed.model_coders.updates.update import Update, mask
from splitbed.model_coders.updates.update import written as update_written
from splitbed.model_data import ModelFile, digest, model_of
from splitbed.model_data.digest import hash_of, of_tensors, raw
from splitbed.model_data.file import Array, Layout, Place, info_of, taken_apart, written
from splitbed.tensors import NUMPY_TYPES, TensorInfo

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

    @property
    def BLOCK_VALUES(self) -> int:  # noqa: N802  a constant of the module
        """That are refined at a time, as :func:`splitbed.model_coders.blocks.blocks_of` has it."""

    def alone(self, first: int, number: int) -> str:
        """The coder that carries, at once, a model whose steps begin at ``first``."""

    def kept(self, name: str, array: Array) -> Array:
        """What becomes of a tensor that no update refines. Raises UsageError where one should."""

    def at(self, array: Array, first: int, number: int) -> Array:
        """A weight at a step. Raises NodeError for values that are not finite."""

    def refinement(self, array: Array, update: Update) -> tuple[Array, Array, Array]:
        """A weight before and after an update, and what it lacks before. Raises as ``at``."""

    def refined(
        self, info: TensorInfo, before: Iterable[Array], lacking: Array, update: Update
    ) -> Iterator[Array]:
        """Its blocks after the update, of those before; each is asked for when it is needed.

        Raises NodeError where what it lacks does not fit.
        """


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
    return [name for name, array in model.state.items() if _refined(info_of(name, array), levels)]


def alone(numbers: Sequence[int], place: int) -> str:
    """The coder that carries, at once, what the steps up to ``place`` make."""
    return _rounding(numbers[0]).alone(numbers[0], numbers[place])


def at(model: ModelFile, number: int, first: int) -> ModelFile:
    """The model at a step. Raises NodeError for values that are not finite."""
    levels = _rounding(first)
    return model.replaced(
        {
            name: levels.at(array, first, number)
            if _refined(info_of(name, array), levels)
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
        name: array if _refined(info_of(name, array), levels) else levels.kept(name, array)
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


class Refining:
    """As :class:`splitbed.model_coders.rebuilding.Rebuilding`, of an update.

    ``file`` has the model before it, to be read and written, and ``layout`` where its tensors are.
    A block of a weight is read, refined and written back: what of it is in memory is a block, and
    all that the weight lacks.

    Every method raises NodeError where the update is damaged, foreign, or of another model; what
    is in ``file`` then is no model.
    """

    def __init__(self, file: BinaryIO, layout: Layout, *, most_bytes: int = MOST_BYTES) -> None:
        self._file, self._layout = file, layout
        self._places = {place.info.name: place for place in layout.places}
        self._hashes = {
            name: hash_of(place.info, self._blocks(place)) for name, place in self._places.items()
        }
        self._tensors = Tensors(most_bytes=most_bytes, base=self._digest)
        self._step: Update | None = None
        self._result = ""

    def feed(self, data: bytes) -> None:
        """Refine each weight of which ``data`` is the end."""
        for name, array in self._tensors.feed(data):
            if name == STEP:
                self._step = _step(array)
            elif name == RESULT:
                self._result = array.tobytes().hex()
            else:
                self._refine(name, array)
            del array  # or it stays until the next is whole

    def finish(self) -> Rebuilt:
        """What was written; it was whole, and is the model that the update was made for."""
        self._tensors.finish()
        if self._step is None or self._digest != self._result:
            raise NodeError("the update does not make the model that it was made for (sha256)")
        self._file.flush()
        self._file.seek(0)
        sha256 = hashlib.file_digest(self._file, "sha256")  # type: ignore[arg-type]
        return Rebuilt(self._result, sha256.hexdigest(), self._layout.nbytes)

    @property
    def _digest(self) -> str:
        return of_tensors(self._hashes.items())

    def _refine(self, name: str, lacking: Array) -> None:
        if (step := self._step) is None:
            raise NodeError("the bitstream is no update of a model: it does not say of which bits")
        place = self._places.get(name)
        levels = _rounding(step.first)
        if place is None or not _refined(place.info, levels):
            raise NodeError(f"the update refines {name}, and no such weight is here")
        before = self._blocks(place, levels.BLOCK_VALUES)
        after = levels.refined(place.info, before, lacking, step)
        self._hashes[name] = hash_of(place.info, self._written(place, after))

    def _blocks(self, place: Place, most_values: int | None = None) -> Iterator[Array]:
        """A tensor as it is in the file."""
        dtype = np.dtype(NUMPY_TYPES[place.info.datatype])
        for block in blocks_of(place.info, most_values):
            self._file.seek(place.offset + block.first * dtype.itemsize)
            data = self._file.read((block.end - block.first) * dtype.itemsize)
            yield np.frombuffer(data, dtype).reshape(block.info.shape)

    def _written(self, place: Place, blocks: Iterable[Array]) -> Iterator[Array]:
        """The blocks, each of which is in the file then."""
        offset = place.offset
        for block in blocks:
            self._file.seek(offset)
            offset += self._file.write(raw(block))
            yield block


def decode_update(pieces: Iterable[bytes], base: ModelFile) -> ModelFile:
    """The finer model that a bitstream makes of ``base``; raises as :class:`Refining`."""
    file = BytesIO()
    written(base, file)
    refining = Refining(file, base.layout)
    for piece in pieces:
        refining.feed(piece)
    refining.finish()
    return taken_apart(base.form, np.frombuffer(file.getvalue(), np.uint8), base.layout.places)


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


def _refined(info: TensorInfo, levels: Rounding) -> bool:
    """Whether a tensor is a weight: biases and norms, which are few, are sent whole at once."""
    return len(info.shape) > 1 and np.dtype(NUMPY_TYPES[info.datatype]) in levels.WEIGHTS
