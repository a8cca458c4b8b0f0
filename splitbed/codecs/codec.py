"""A codec: stages in a row, for each tensor of a cut.

    tensor ──> stage 1 ──> stage 2 ──> … ──> the wire ──> … ──> stage 2 ──> stage 1 ──> tensor

Bound to the tensors of a cut, it is one end's coder.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Self, cast

import numpy as np

from splitbed.codecs.stage import Array, Dial, FittedKind, Setting, Stage, StageKind, WordedKind
from splitbed.errors import NodeError, SplitbedError, UsageError
from splitbed.tensors import DATATYPES, TensorInfo, Tensors
from splitbed.workers.wanted import check_wanted

MOST_LETTERS = 200
"""Of a name; the names that were used last are remembered, so many of them."""
MOST_REMEMBERED = 256
WHOLE = re.compile("-?[0-9]+")
"""A number behind a colon: ``int`` takes digits of every script, and underscores."""
STAGE_BYTES = 1 << 18
"""What a stage of one tensor takes at least: an `int8` is two sessions of ONNX Runtime."""


@dataclass(frozen=True)
class NamedKind:
    """A stage as a codec's name has it: ``zstd:3``, or ``avc:27,444,slow``.

    ``said`` are the words that its ``kind`` was chosen by, in one order, however they were written;
    those that say what is usual are not among them.
    """

    name: str
    kind: StageKind
    parameter: int | None = None
    said: tuple[str, ...] = ()

    @property
    def word(self) -> str:
        """As it is written, the number first."""
        number = () if self.parameter is None else (str(self.parameter),)
        behind = ",".join(number + self.said)
        return f"{self.name}:{behind}" if behind else self.name

    def at(self, step: int | None) -> str:
        """Its word with this number, or with none."""
        return replace(self, parameter=step).word

    @property
    def dial(self) -> Dial | None:
        """What its number trades, where that is left open; None where there is no such choice."""
        dial = getattr(self.kind, "dial", None)
        return dial if isinstance(dial, Dial) and self.parameter is None else None

    @staticmethod
    def words(name: str, what: str) -> list[str]:
        """The words of a name; UsageError for one too long to be that of a `what`."""
        if len(name) > MOST_LETTERS:
            raise UsageError(f"no {what} is called {name[:20]!r}… of {len(name)} letters")
        return [word.strip() for word in name.split("+")]

    @property
    def fitted(self) -> FittedKind | None:
        """Its kind, where that is fitted to calibration frames."""
        # a stage of a user's package need not say so
        return cast(FittedKind, self.kind) if getattr(self.kind, "fitted", False) else None

    @property
    def key(self) -> str:
        """Its word in ``Setting.tables``, the usual number said: `klt` is `klt:100`."""
        return self.at(self.dial.usual) if self.dial else self.word

    def table(self, info: TensorInfo, setting: Setting) -> bytes | None:
        """What it was fitted to, of `info`; UsageError where it had to be and was not."""
        table = setting.tables.get((self.key, info.name))
        if table is None and self.fitted and self.fitted.takes(info):
            why = setting.unfitted.get((self.key, info.name), "calibrate it with frames first")
            raise UsageError(f"it was not fitted to what crosses: {why}")
        return table

    @classmethod
    def of(cls, word: str, kind: StageKind, what: str) -> Self:
        """The stage of a word, in a name of `what`; UsageError for what its kind does not take."""
        name, colon, behind = word.partition(":")
        said = [one.strip() for one in behind.split(",")] if colon else []
        words = sorted({one for one in said if _is_word(one, kind)})
        numbers = [one for one in said if one not in words]
        if isinstance(kind, WordedKind):  # beside a number there can be words alone
            words, numbers = sorted({*words, *numbers[1:]}), numbers[:1]
        if len(numbers) > 1 or not all(WHOLE.fullmatch(one) for one in numbers):
            dial = getattr(kind, "dial", None)
            such = f"of {dial.least} to {dial.most}" if dial else "such as zstd:3"
            raise UsageError(f"the {what} {word!r} needs one whole number behind its colon, {such}")
        parameter = int(numbers[0]) if numbers else None
        try:
            kind, words = _chosen(kind, words)
        except UsageError as error:
            raise UsageError(f"the {what} {word!r} cannot be: {error}") from None
        return cls(name, kind, parameter, tuple(words))


def _is_word(said: str, kind: StageKind) -> bool:
    """Whether it is one of the kind's words, or can be nothing else: 444 may be a number, too."""
    if not isinstance(kind, WordedKind):
        return False
    try:
        kind.chosen((said,))
    except UsageError:
        return said[:1].isalpha()
    return True


def _chosen(kind: StageKind, words: list[str]) -> tuple[StageKind, list[str]]:
    """The kind that the words make, and those of them without which it would be another."""
    if not words or not isinstance(kind, WordedKind):
        return kind, words
    made = kind.chosen(tuple(words))
    for word in words:
        fewer = [one for one in words if one != word]
        if (kind.chosen(tuple(fewer)) if fewer else kind) == made:
            words = fewer
    return made, words


@dataclass(frozen=True)
class Codec:
    """What turns tensors into bytes and back; without stages it hands them on (``raw``)."""

    name: str
    stages: tuple[NamedKind, ...]

    @property
    def words(self) -> tuple[str, ...]:
        """Its stages, each as the name has it."""
        return tuple(stage.word for stage in self.stages)

    @property
    def lossless(self) -> bool:
        """Whether what comes back is what went in, bit for bit."""
        return all(stage.kind.lossless for stage in self.stages)

    @property
    def calibrated(self) -> bool:
        """Whether it needs ``Setting.ranges``."""
        return any(stage.kind.calibrated for stage in self.stages)

    @property
    def sequential(self) -> bool:
        """Whether a frame is coded with what is known of the frames before."""
        return any(stage.kind.sequential for stage in self.stages)

    @property
    def dial(self) -> Dial | None:
        """What it trades rate for accuracy with, of the first stage where that is left open."""
        return next((stage.dial for stage in self.stages if stage.dial), None)

    @property
    def said(self) -> str:
        """Its name with all that it is fitted by said: of `klt+zstd`, `klt:100+zstd`."""
        return "+".join(one.key if one.fitted else one.word for one in self.stages) or self.name

    def at(self, step: int) -> str:
        """Its name with its dial there; as it is where there is none."""
        words = [*self.words]
        for place, stage in enumerate(self.stages):
            if stage.dial:
                words[place] = stage.at(step)
                break
        return "+".join(words) or self.name

    @property
    def fitted(self) -> bool:
        """Whether it needs ``Setting.tables``."""
        return any(stage.fitted for stage in self.stages)

    @property
    def weighted(self) -> bool:
        """Whether these are made by what part 2 is sensitive to."""
        return any(stage.fitted.weighted for stage in self.stages if stage.fitted)

    def check_first(self) -> None:
        """Raise UsageError where a stage that is fitted to what crosses does not stand first."""
        for place, late in enumerate(self.stages[1:], 1):
            if late.fitted:
                # behind it, what loses something would get no floating point
                apart = not all(stage.kind.lossless for stage in self.stages[:place])
                raise UsageError(
                    f"the codec {self.name} cannot be: {late.word} is fitted to what crosses; "
                    + ("leave one of them out" if apart else "put it first")
                )

    @property
    def local(self) -> bool:
        """Whether it decodes what this process encoded, and nothing that comes from elsewhere."""
        return any(getattr(stage.kind, "local", False) for stage in self.stages)

    def bind(self, infos: Sequence[TensorInfo], setting: Setting) -> "Coder":
        """A coder of the tensors ``infos``, for one end and one cell.

        Raises:
            UsageError: a stage cannot take its tensor or its parameter, or has nothing to do where
                it stands; a tensor's size depends on the content; calibration is missing.
            MachineError: a library that a stage needs is missing.
            NodeError: nobody waits for it any more.
        """
        return Coder(self.name, [self._bind(info, setting) for info in infos])

    def least_bytes(self, tensors: int) -> int:
        """What a coder of so many tensors takes at least."""
        return STAGE_BYTES * len(self.stages) * tensors

    def _bind(self, info: TensorInfo, setting: Setting) -> "_Row":
        check_wanted()
        self.check_first()
        if min(info.shape, default=0) < 0:
            raise UsageError(f"{self.name} cannot code {info}: its size depends on the content")
        stages: list[Stage] = []
        now = info
        for named in self.stages:
            if stages and now != info:
                setting = replace(setting, picture=None, most_bytes=stages[-1].most_bytes)
                if not named.kind.lossless and not now.datatype.startswith("FP"):
                    ahead = "" if self.fitted else f", or put {named.word} first"
                    raise UsageError(
                        f"the codec {self.name} cannot be: {named.word} is for floating point, and"
                        f" gets {now.datatype} from what is before it; leave one of them out{ahead}"
                    )
            try:
                own = setting
                if named.fitted:
                    own = replace(setting, table=named.table(now, setting))
                stages.append(named.kind(now, own, named.parameter))
            except UsageError as error:
                where = f" in {self.name}" if len(self.stages) > 1 else ""
                raise UsageError(
                    f"the codec {named.word}{where} cannot code {info.name}"
                    f" ({now.datatype} {list(now.shape)}): {error}"
                ) from None
            now = stages[-1].encoded
        return _Row(self.name, info, tuple(stages))


class Coder:
    """One end of a codec, for tensors of known names, datatypes and shapes.

    It sees every frame in order, on one thread at a time: stages keep memory, and a video codec
    its state, between frames.  A flipped bit is found where a stage carries a checksum: ``zstd``
    and the video codecs do.
    """

    def __init__(self, name: str, rows: "Sequence[_Row]") -> None:
        self.name = name
        self._rows = {row.info.name: row for row in rows}

    @property
    def encoded(self) -> tuple[TensorInfo, ...]:
        """What ``encode`` gives: a size of -1 depends on the content."""
        return tuple(row.encoded for row in self._rows.values())

    @property
    def plain_bytes(self) -> int:
        """Bytes of all tensors together, not encoded."""
        return sum(row.info.nbytes for row in self._rows.values())

    @property
    def most_bytes(self) -> int:
        """The most bytes that ``encode`` ever gives, of all tensors together."""
        return sum(row.most_bytes for row in self._rows.values())

    @property
    def kept_bytes(self) -> int:
        """About what its stages keep from frame to frame, at most."""
        return sum(row.kept_bytes for row in self._rows.values())

    def encode(self, tensors: Tensors) -> Tensors:
        """The tensors, encoded: the names and order that it was bound to.

        Raises:
            NodeError: names, datatypes or shapes differ from those bound, or the content cannot be
                encoded: NaN in a map to quantise, say.  The message names codec and tensor.
        """
        return self._each(tensors, _Row.encode)

    def decode(self, encoded: Tensors) -> Tensors:
        """The tensors that ``encode`` took, or what a lossy codec keeps of them.

        Raises:
            NodeError: what came cannot have been encoded so; no memory is taken for what it says.
        """
        return self._each(encoded, _Row.decode)

    def _each(self, tensors: Tensors, code: "Callable[[_Row, Array], Array]") -> Tensors:
        if tensors.keys() != self._rows.keys():
            raise NodeError(
                f"{self.name} was set up for the tensors {', '.join(self._rows)},"
                f" and got {', '.join(tensors) or 'none'}; do both ends have the same cut?"
            )
        return {name: code(row, tensors[name]) for name, row in self._rows.items()}


@dataclass(frozen=True)
class _Row:
    """The stages of one tensor."""

    codec: str
    info: TensorInfo
    stages: tuple[Stage, ...]

    @property
    def encoded(self) -> TensorInfo:
        return self.stages[-1].encoded if self.stages else self.info

    @property
    def most_bytes(self) -> int:
        return self.stages[-1].most_bytes if self.stages else self.info.nbytes

    @property
    def kept_bytes(self) -> int:
        # a stage of a user's package need not say what it keeps
        kept: Iterable[int] = (
            getattr(stage, "kept_bytes", stage.most_bytes) for stage in self.stages
        )
        return STAGE_BYTES * len(self.stages) + sum(kept)

    def encode(self, array: Array) -> Array:
        array = self._due(array, self.info, self.info.nbytes, "encode")
        for stage in self.stages:
            array = self._run(stage.encode, array, "encode")
            array = self._due(array, stage.encoded, stage.most_bytes, "encode")
        return array

    def decode(self, array: Array) -> Array:
        takes = [self.info, *(stage.encoded for stage in self.stages[:-1])]
        array = self._due(array, self.encoded, self.most_bytes, "decode")
        for stage, info in zip(reversed(self.stages), reversed(takes), strict=False):
            array = self._run(stage.decode, array, "decode")
            array = self._due(array, info, array.nbytes, "decode")
        return array

    def _run(self, code: Callable[[Array], Array], array: Array, verb: str) -> Array:
        try:
            return code(array)
        except SplitbedError as error:
            raise NodeError(f"{self.codec} cannot {verb} {self.info.name}: {error}") from error
        except Exception as error:  # a user's codec may raise anything
            raise NodeError(
                f"{self.codec} failed to {verb} {self.info.name}: {type(error).__name__}: {error}"
            ) from error

    def _due(self, array: Array, info: TensorInfo, most_bytes: int, verb: str) -> Array:
        """The array in C order; NodeError unless it is as ``info`` and ``most_bytes`` say."""
        datatype = DATATYPES.get(array.dtype, "")
        if (
            datatype == info.datatype
            and (array.shape == info.shape or info.fits(replace(info, shape=array.shape)))
            and array.nbytes <= most_bytes
        ):
            return np.asarray(array, order="C")
        datatype = datatype or str(array.dtype)
        raise NodeError(
            f"{self.codec} cannot {verb} {self.info.name}: {datatype} {list(array.shape)}"
            f" came where {info.datatype} {list(info.shape)}, at most {most_bytes} bytes, was due"
        )
