"""Curves: the points of one codec at one split, whatever its number; which of them are anchors."""

from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.ask.configuration import Configuration
from orchestrator.ask.split_point import NETWORK_ANCHOR
from splitbed.codecs import RAW, codec_named
from splitbed.errors import UsageError


def curve_of(setup: Configuration) -> str:
    """The points of a split and a codec of any quality are a curve."""
    return f"{setup.split_name} {family(setup.codec)}"


def ladder(name: str) -> list[str]:
    """The codecs that a name stands for: ``avc`` for ``avc:22`` to ``avc:42``.

    Raises UsageError for a name of none.
    """
    codec = codec_named(name)
    return [codec.at(step) for step in codec.dial.ladder] if codec.dial else [codec.name]


def family(name: str) -> str:
    """A codec's name without its numbers."""
    return "+".join(stage.at(None) for stage in codec_named(name).stages) or RAW


def expanded(names: Sequence[str]) -> list[str]:
    """The codecs that names stand for, each once; UsageError for one that is none."""
    return list(dict.fromkeys(step for name in names for step in ladder(name)))


@dataclass(frozen=True)
class Anchor:
    """A curve that others are held against: all others, or those of its own split alone."""

    curve: str
    split_name: str | None = None

    def bears(self, curve: str) -> bool:
        """Whether that one is held against it."""
        own = self.split_name is None or curve.startswith(f"{self.split_name} ")
        return own and curve != self.curve


def anchors(asked: Sequence[str], setups: Sequence[Configuration]) -> list[Anchor]:
    """What names of curves mean, or of codecs: the input's before the splits'.

    A codec of several splits is, at each, the anchor of the curves of that split. Raises UsageError
    where a name means no curve.
    """
    splits = {curve_of(one): one.split_name for one in setups}
    found = []
    for name in asked:
        own = [curve for curve in (name, f"{NETWORK_ANCHOR} {name}") if curve in splits][:1]
        each = own or [curve for curve in splits if curve.endswith(f" {name}")]
        if not each:
            raise UsageError(f"--anchor {name} means no curve: choose {', '.join(splits)}")
        alone = len(each) == 1
        found += [Anchor(curve, None if alone else splits[curve]) for curve in each]
    return list(dict.fromkeys(found))
