"""Codecs of intermediate data (clause 5.1's test encoder and decoder), by name.

A name is ``raw``, or stages joined by ``+``, each with a whole number behind ``:`` where it takes
one: ``int8+zstd``, ``shuffle+zstd:3``, ``hevc:32``. A user's package adds stages through the
entry-point group ``splitbed.codecs``, each a :class:`splitbed.codecs.stage.StageKind`.
"""

import importlib.metadata
from contextlib import suppress
from difflib import get_close_matches
from functools import cache
from typing import NamedTuple

import numpy as np

from splitbed.codecs import exact, floats, integers, pictures, video, zstd
from splitbed.codecs.codec import Codec, Coder, NamedKind
from splitbed.codecs.stage import Range, Setting, StageKind
from splitbed.errors import MachineError, UsageError
from splitbed.media.recipes import PictureRecipe
from splitbed.tensors import TensorInfo

__all__ = ["CODECS", "GROUP", "RAW", "Codec", "Coder", "Known", "codec_named", "known"]

RAW = "raw"
GROUP = "splitbed.codecs"
CODECS: dict[str, StageKind] = {
    **floats.KINDS,
    **integers.KINDS,
    **exact.KINDS,
    **zstd.KINDS,
    **pictures.KINDS,
    **video.KINDS,
}
"""The stages of Splitbed.  Listing them imports no codec's library."""


class Known(NamedTuple):
    """A line of the list of codecs."""

    name: str
    summary: str
    lossless: bool
    calibrated: bool
    sequential: bool


def known() -> list[Known]:
    """``raw``, and all stages that a codec may be made of, ours and then the user's.

    Raises:
        UsageError: an installed stage cannot be had; see :func:`codec_named`.
    """
    kinds = CODECS | {name: _load(entry) for name, entry in _installed().items()}
    rows = [
        Known(name, kind.summary, kind.lossless, kind.calibrated, kind.sequential)
        for name, kind in kinds.items()
    ]
    return [Known(RAW, "the numbers as they are", True, False, False), *rows]


@cache
def codec_named(text: str) -> Codec:
    """The codec of that name.

    Parameters and order are tried on a small picture, as far as the stages are ours.

    Raises:
        UsageError: an unknown stage, a parameter that is none, or an order that makes no sense; an
            installed stage that has the name of one of ours, or cannot be imported.
    """
    name = text.strip()
    if name == RAW:
        return Codec(RAW, ())
    installed = _installed()
    stages = tuple(_stage(word.strip(), name, installed) for word in name.split("+"))
    codec = Codec("+".join(stage.word for stage in stages), stages)
    if all(stage.kind in CODECS.values() for stage in stages):
        _try(codec)
    return codec


def _stage(word: str, codec: str, installed: dict[str, importlib.metadata.EntryPoint]) -> NamedKind:
    name, colon, number = word.partition(":")
    if name in CODECS:
        kind = CODECS[name]
    elif name in installed:
        kind = _load(installed[name])
    else:
        choices = [*CODECS, *installed]
        close = get_close_matches(name, [RAW, *choices], n=1)
        raise UsageError(
            f"no codec is called {name!r}"
            + (f", in {codec!r}" if name != codec else "")
            + (f" ({RAW} stands alone)" if name == RAW else "")
            + (f"; did you mean {close[0]}?" if close and close[0] != name else ":")
            + f" choose {RAW}, or of {', '.join(choices)}, joined by +"
        )
    if not colon:
        return NamedKind(word, kind)
    try:
        return NamedKind(word, kind, int(number))
    except ValueError:
        raise UsageError(
            f"the codec {word!r} needs a whole number behind its colon, such as zstd:3"
        ) from None


def _try(codec: Codec) -> None:
    """UsageError where no tensor at all could be coded so."""
    picture = PictureRecipe(64, 64)
    limits = Range(np.zeros(3, np.float32), np.ones(3, np.float32))
    info = TensorInfo("a picture", picture.datatype, picture.shape)
    with suppress(MachineError):  # another machine may have what this one lacks
        try:
            codec.bind([info], Setting({info.name: limits}, picture=picture))
        except UsageError as error:
            # of no use to who reads it: the picture that was tried
            why = str(error).partition(f"cannot code {info.name}")[2].partition("): ")[2]
            if not why:
                raise
            raise UsageError(f"the codec {codec.name} cannot be: {why}") from None


def _installed() -> dict[str, importlib.metadata.EntryPoint]:
    """The stages of other packages, by name."""
    found: dict[str, importlib.metadata.EntryPoint] = {}
    for entry in importlib.metadata.entry_points(group=GROUP):
        if entry.name in CODECS or entry.name in found or entry.name == RAW:
            other = found[entry.name].value if entry.name in found else "Splitbed's own"
            raise UsageError(
                f"{_origin(entry)} brings a codec called {entry.name!r}, as is {other}:"
                " give it another name in the package, or uninstall that"
            )
        found[entry.name] = entry
    return found


def _load(entry: importlib.metadata.EntryPoint) -> StageKind:
    try:
        kind: StageKind = entry.load()
    except Exception as error:  # importing a user's package may raise anything
        raise UsageError(
            f"cannot import the codec {entry.name!r} of {_origin(entry)}: {error}"
        ) from error
    words = ("lossless", "calibrated", "sequential", "summary")
    if missing := [word for word in words if not hasattr(kind, word)]:
        raise UsageError(
            f"the codec {entry.name!r} of {_origin(entry)} is no StageKind of"
            f" splitbed.codecs.stage: it lacks {', '.join(missing)}"
        )
    return kind


def _origin(entry: importlib.metadata.EntryPoint) -> str:
    package = entry.dist.name if entry.dist else "a package"
    return f"{package} ({entry.value})"
