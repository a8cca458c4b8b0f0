"""A stage as a codec's name has it: a word, and behind its colon a number and more words."""

import re
from dataclasses import dataclass, replace
from typing import Self, cast

from splitbed.codecs.stage import Dial, FittedKind, Setting, StageKind, WordedKind
from splitbed.errors import UsageError
from splitbed.tensors import TensorInfo

MOST_LETTERS = 200
"""Of a name; the names that were used last are remembered, so many of them."""
MOST_REMEMBERED = 256
WHOLE = re.compile("-?[0-9]+")
"""A number behind a colon: ``int`` takes digits of every script, and underscores."""


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
