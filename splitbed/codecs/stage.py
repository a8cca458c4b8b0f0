"""What codecs are made of: stages, each of which turns one array into another and back."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from splitbed.errors import UsageError, did_you_mean
from splitbed.media.recipes import PictureRecipe
from splitbed.tensors import TensorInfo

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Range:
    """Least and greatest value of each channel of a tensor, seen in calibration frames.

    Both are FP32 of shape (channels,).  ``axis`` is that of the channels, where calibration found
    another than :func:`splitbed.codecs.calibration.channel_axis` has.
    """

    low: Floats
    high: Floats
    axis: int | None = None


@dataclass(frozen=True)
class Setting:
    """What both ends know of the tensors before the first frame.

    ``ranges`` are by tensor name.  ``channels_last`` says where a tensor's channels are: last
    (TFLite), else at axis 1 (ONNX); a tensor of fewer than three dimensions has them last.
    ``picture`` is given where the tensor is a model's input and was made of a picture.
    ``most_bytes`` is given where a size of the tensor is -1: the most that the stage before makes.
    ``tables`` are what stages were fitted to, by the stage as a codec's name has it, with its
    number said, and the tensor's name; ``table`` are those of the stage and the tensor that are
    bound.  ``unfitted`` says where there are none because fitting failed, and why.
    """

    ranges: Mapping[str, Range] = field(default_factory=dict)
    channels_last: bool = False
    picture: PictureRecipe | None = None
    most_bytes: int | None = None
    tables: Mapping[tuple[str, str], bytes] = field(default_factory=dict)
    table: bytes | None = None
    unfitted: Mapping[tuple[str, str], str] = field(default_factory=dict)


class Stage(Protocol):
    """One step of a codec, for one tensor of a known name, datatype and shape.

    A stage is made anew for each cell and each end, and sees every frame in order: it may keep
    state between them, as a video codec does, and says then how much, where that is not about its
    `most_bytes`, as `kept_bytes`.  Arrays come in C order, and what it gives is not
    touched again: the frame before may still be on its way.
    """

    @property
    def encoded(self) -> TensorInfo:
        """What ``encode`` gives: a size of -1 depends on the content."""

    @property
    def most_bytes(self) -> int:
        """The most bytes that ``encode`` ever gives: a decoder takes no more."""

    def encode(self, array: Array) -> Array:
        """The array, encoded; NodeError for content that cannot be (NaN in a map to quantise)."""

    def decode(self, array: Array) -> Array:
        """The array, of the datatype and shape that ``encode`` takes.

        Raises NodeError for bytes that no encoder made, before memory is taken for what they say.
        """


@runtime_checkable
class PiecewiseStage(Stage, Protocol):
    """A stage that can give what ``encode`` gives bit by bit, where it stands last in a codec."""

    def pieces(self, array: Array) -> Iterator[tuple[Array, bool]]:
        """One piece after another, each computed when it is asked for, and whether it is the last.

        Pieces may be empty; a decoder gets them as one array.  Raises what ``encode`` raises.
        """


@dataclass(frozen=True)
class Dial:
    """The numbers behind a kind's colon where they trade rate for accuracy, ``least`` to ``most``.

    ``usual`` is meant where none is given, and greater ones keep more where ``finer_up``.
    ``ladder`` are those of a curve.
    """

    least: int
    most: int
    usual: int
    finer_up: bool
    ladder: tuple[int, ...]

    def step(self, parameter: int | None, what: str) -> int:
        """The number that is meant; UsageError for one that ``what`` cannot have."""
        if parameter is None:
            return self.usual
        if not self.least <= parameter <= self.most:
            raise UsageError(f"{what} is {self.least} to {self.most}, not {parameter}")
        return parameter

    def steps(self) -> range:
        """All numbers, from the coarsest to the finest."""
        whole = range(self.least, self.most + 1)
        return whole if self.finer_up else whole[::-1]


@dataclass(frozen=True)
class Unchanged:
    """The stage that hands its tensor on: indices and masks, where a kind codes maps."""

    encoded: TensorInfo

    @property
    def most_bytes(self) -> int:
        """Its size."""
        return self.encoded.nbytes

    @property
    def kept_bytes(self) -> int:
        """Nothing."""
        return 0

    def encode(self, array: Array) -> Array:
        """The array itself."""
        return array

    def decode(self, array: Array) -> Array:
        """The array itself."""
        return array


class StageKind(Protocol):
    """A kind of stage, as a codec's name has it; ``int8``, ``zstd:3``.

    It is called as ``kind(info, setting, parameter)`` and gives a :class:`Stage` for the tensor
    ``info``; ``parameter`` is the whole number behind the colon, None where there is none.
    Raises UsageError for a parameter or a tensor that it cannot take.  A kind that loses something
    hands tensors that are not floating point on unchanged: there is nothing to round in an index.
    One whose number trades rate for accuracy has besides ``dial``, a :class:`Dial`; one whose
    decoder bears no stranger's bytes ``local``, True: it is for ``rd``, and no node takes it.
    """

    @property
    def lossless(self) -> bool:
        """Whether what comes back is what went in, bit for bit."""

    @property
    def calibrated(self) -> bool:
        """Whether it needs ``Setting.ranges``."""

    @property
    def sequential(self) -> bool:
        """Whether a frame is coded with what is known of the frames before."""

    @property
    def summary(self) -> str:
        """A line for the list of codecs."""

    def __call__(self, info: TensorInfo, setting: Setting, parameter: int | None) -> Stage: ...


class FittedKind(StageKind, Protocol):
    """A kind that needs more than ranges: tables, which it makes of calibration frames.

    It is one by having ``fitted``.  Its stage stands first in a codec, is given the tables as
    ``Setting.table`` and checks every size in them, as they may be a stranger's: UsageError.  It
    hands tensors that it does not take on unchanged.  It may have ``check(info, setting)``, which
    raises UsageError for a tensor that it takes, and of which it can have no tables;
    ``kept_bytes(table)``, which tells before anything is made of it what a stage will keep; and
    ``axis(info, frames, setting)``, that of the channels where the frames tell it, along which
    the sensitivity that ``fit`` is given is measured.
    """

    @property
    def fitted(self) -> bool:
        """True."""

    @property
    def weighted(self) -> bool:
        """Whether ``fit`` is to be given what part 2 is sensitive to."""

    def takes(self, info: TensorInfo) -> bool:
        """Whether it codes such a tensor, and so has to be fitted to it."""

    def fit(
        self,
        info: TensorInfo,
        frames: Sequence[Array],
        setting: Setting,
        parameter: int | None,
        sensitivity: Floats | None,
    ) -> bytes:
        """The tables, of at least one frame of the tensor ``info``, in order; the same of the same.

        ``sensitivity`` is what :mod:`splitbed.codecs.klt.sensitivity` measures, of shape (channels,
        channels); None where that is not wanted.  Raises UsageError for a parameter that is none,
        NodeError for frames that nothing can be fitted to: NaN, say.
        """


@runtime_checkable
class WordedKind(StageKind, Protocol):
    """A kind that also takes words behind the colon: ``avc:27,444,slow``."""

    def chosen(self, words: tuple[str, ...]) -> StageKind:
        """The kind that the words make of this one; equal to it where they say what is usual.

        Raises UsageError for a word that it does not know.
        """


def choices(words: Iterable[str], of: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """What the words choose ``of`` each thing that has a choice, as ``{"chroma": "444"}``.

    Raises UsageError for a word that is no choice, and for two of one thing.
    """
    found: dict[str, str] = {}
    for word in words:
        what = next((name for name, known in of.items() if word in known), None)
        if what is None:
            every = [one for known in of.values() for one in known]
            meant = did_you_mean(word, every)
            raise UsageError(
                f"it takes one number, and no word {word!r}{meant} choose of {', '.join(every)}"
            )
        if found.setdefault(what, word) != word:
            raise UsageError(f"{found[what]} and {word} are each a {what}: name one")
    return found


@dataclass(frozen=True, kw_only=True)
class UsualKind:
    """What most kinds are: lossy, without calibration, and each frame is coded by itself."""

    lossless: bool = False
    calibrated: bool = False
    sequential: bool = False
