"""Codecs of intermediate data (clause 5.1's test encoder and decoder), by name.

A name is ``raw``, or stages joined by ``+``, each with a whole number, or words, behind ``:`` where
it takes them: ``int8+zstd``, ``shuffle+zstd:3``, ``avc:27,444,slow``. A user's package adds stages
through the entry-point group ``splitbed.codecs``, each a
:class:`splitbed.codecs.stage.StageKind`.
"""

import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from splitbed.codecs import exact, floats, integers, klt, nnc, pictures, zstd
from splitbed.codecs.codec import Codec
from splitbed.codecs.coder import Coder
from splitbed.codecs.fitting import fit
from splitbed.codecs.named import MOST_REMEMBERED, NamedKind
from splitbed.codecs.stage import Range, Setting, StageKind
from splitbed.errors import MachineError, UsageError, did_you_mean
from splitbed.extensions import Extensible
from splitbed.media.recipes import PictureRecipe
from splitbed.tensors import TensorInfo, Tensors

__all__ = ["CODECS", "GROUP", "RAW", "Codec", "Coder", "Known", "codec_named", "joined", "known"]

RAW = "raw"
GROUP = "splitbed.codecs"
CODECS: Extensible[StageKind] = Extensible(
    GROUP,
    "codec",
    {
        **floats.KINDS,
        **integers.KINDS,
        **klt.KINDS,
        **exact.KINDS,
        **zstd.KINDS,
        **pictures.KINDS,
        **nnc.KINDS,
    },
    kind="StageKind of splitbed.codecs.stage",
    needs=("lossless", "calibrated", "sequential", "summary"),
    reserved=(RAW,),
)
"""The stages.  Listing ours imports no codec's library."""


class Known(NamedTuple):
    """A line of the list of codecs."""

    name: str
    summary: str
    lossless: bool
    calibrated: bool
    sequential: bool
    fitted: bool


def known() -> list[Known]:
    """``raw``, and all stages that a codec may be made of, ours and then the user's.

    Raises:
        UsageError: an installed stage cannot be had; see :func:`codec_named`.
    """
    rows = [
        Known(
            name,
            kind.summary,
            kind.lossless,
            kind.calibrated,
            kind.sequential,
            getattr(kind, "fitted", False),
        )
        for name, kind in CODECS.items()
    ]
    return [Known(RAW, "the numbers as they are", True, False, False, False), *rows]


@lru_cache(MOST_REMEMBERED)
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
    stages = tuple(_stage(word, name) for word in NamedKind.words(name, "codec"))
    codec = Codec("+".join(stage.word for stage in stages), stages)
    if all(stage.name in CODECS.own for stage in stages):
        _try(codec)
    return codec


def joined(pieces: Iterable[str]) -> list[str]:
    """The pieces of a comma list, those that are one codec's put together again.

    ``avc:27``, ``444`` and ``int8`` are ``avc:27,444`` and ``int8``: a piece that begins no stage,
    and that the codec before it takes as a word, is that codec's. What stands in front of a codec,
    up to ``/`` or ``=``, is no part of its name: ``stage2/avc:27``.
    """
    found: list[str] = []
    for piece in pieces:
        before = re.split("[/=]", found[-1])[-1] if found else ""
        if before and _is_more(before, piece):
            found[-1] += f",{piece.strip()}"
        else:
            found.append(piece)
    return found


def _is_more(codec: str, piece: str) -> bool:
    begins = re.split("[+:]", piece)[0].strip()
    try:
        return begins not in (RAW, *CODECS) and bool(codec_named(f"{codec},{piece}"))
    except UsageError:
        return False


def _stage(word: str, codec: str) -> NamedKind:
    name, _, _ = word.partition(":")
    if name not in CODECS:
        also = () if name == RAW else (RAW,)
        raise UsageError(
            f"no codec is called {name!r}"
            + (f", in {codec!r}" if name != codec else "")
            + (f" ({RAW} stands alone)" if name == RAW else "")
            + did_you_mean(name, (*also, *CODECS))
            + f" choose {RAW}, or of {', '.join(CODECS)}, joined by +"
        )
    return NamedKind.of(word, CODECS[name], "codec")


def _try(codec: Codec) -> None:
    """UsageError where no tensor at all could be coded so."""
    picture = PictureRecipe(64, 64)
    limits = Range(np.zeros(3, np.float32), np.ones(3, np.float32))
    info = TensorInfo("a picture", picture.datatype, picture.shape)
    noise = np.random.default_rng(0)
    with suppress(MachineError):  # another machine may have what this one lacks
        try:
            setting = Setting({info.name: limits}, picture=picture)
            if codec.fitted:
                frames: list[Tensors] = [
                    {info.name: noise.random(info.shape, np.float32)} for _ in range(2)
                ]
                setting = replace(setting, tables=fit(codec, [info], frames, setting))
            codec.bind([info], setting)
        except UsageError as error:
            # of no use to who reads it: the picture that was tried
            why = str(error).partition(info.name)[2].partition("): ")[2]
            if not why:
                raise
            raise UsageError(f"the codec {codec.name} cannot be: {why}") from None
