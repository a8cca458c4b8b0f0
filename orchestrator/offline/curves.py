"""Curves: the points of one codec at one split, whatever its number; which one is the anchor."""

from collections.abc import Sequence

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


def anchor_curve(asked: str, setups: Sequence[Configuration]) -> str:
    """The curve that ``asked`` means: its name, or a codec's, the input's before the splits'.

    Raises UsageError where it means none, or several.
    """
    curves = list(dict.fromkeys(map(curve_of, setups)))
    for label in (asked, f"{NETWORK_ANCHOR} {asked}"):
        if label in curves:
            return label
    found = [curve for curve in curves if curve.endswith(f" {asked}")]
    if len(found) == 1:
        return found[0]
    raise UsageError(
        f"--anchor {asked} means {'several curves' if found else 'no curve'}:"
        f" choose {', '.join(found or curves)}"
    )
