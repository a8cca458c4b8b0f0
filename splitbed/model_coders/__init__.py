"""Coders of model data (clause 5.2's test encoder and decoder), by name.

A name is ``dummy`` (clause 2.1.2.6: the values as they are), or stages joined by ``+``, each with a
whole number behind ``:`` where it takes one: ``int8+zstd``, ``prune:30+int8+zstd``.  They are made
as codecs are, and each works on a block of a tensor.  A user's package adds stages through the
entry-point group ``splitbed.model_coders``, each a :class:`splitbed.codecs.stage.StageKind`.
"""

from functools import lru_cache
from typing import NamedTuple

from splitbed.codecs import exact, zstd
from splitbed.codecs import floats as codec_floats
from splitbed.codecs.codec import Codec
from splitbed.codecs.named import MOST_REMEMBERED, NamedKind
from splitbed.codecs.stage import Setting, StageKind
from splitbed.errors import MachineError
from splitbed.extensions import Extensible
from splitbed.model_coders import floats, integers, nnc, prune, quantised_onnx
from splitbed.tensors import TensorInfo

__all__ = ["DUMMY", "GROUP", "MODEL_CODERS", "Known", "ModelCoder", "coder_named", "known"]

DUMMY = "dummy"
GROUP = "splitbed.model_coders"
MODEL_CODERS: Extensible[StageKind] = Extensible(
    GROUP,
    "model coder",
    {
        "fp16": floats.KINDS["fp16"],
        "bf16": codec_floats.KINDS["bf16"],
        **integers.KINDS,
        **quantised_onnx.KINDS,
        **prune.KINDS,
        **exact.KINDS,
        **zstd.KINDS,
        **nnc.KINDS,
    },
    kind="StageKind of splitbed.codecs.stage",
    needs=("lossless", "summary"),
    reserved=(DUMMY,),
)
"""The stages."""

ModelCoder = Codec


class Known(NamedTuple):
    """A line of the list of model coders."""

    name: str
    summary: str
    lossless: bool


def known() -> list[Known]:
    """``dummy``, and all stages that a coder may be made of, ours and then the user's.

    Raises:
        UsageError: an installed stage cannot be had; see :func:`coder_named`.
    """
    rows = [Known(name, kind.summary, kind.lossless) for name, kind in MODEL_CODERS.items()]
    return [Known(DUMMY, "the values as they are", True), *rows]


@lru_cache(MOST_REMEMBERED)
def coder_named(text: str) -> ModelCoder:
    """The coder of that name.

    Raises:
        UsageError: an unknown stage, a parameter that is none, or an order that makes no sense; an
            installed stage that has the name of one of ours, or cannot be imported.
    """
    name = text.strip()
    if name == DUMMY:
        return Codec(DUMMY, ())
    stages = tuple(map(_stage, NamedKind.words(name, "model coder")))
    coder = Codec("+".join(stage.word for stage in stages), stages)
    _ = lacking(coder)  # another machine may have what this one lacks; what is wrong is everywhere
    return coder


def lacking(coder: ModelCoder) -> str:
    """What this machine lacks for a coder, in words; nothing where it lacks nothing."""
    try:
        coder.bind([TensorInfo("a weight", "FP32", (16, 16))], Setting())
    except MachineError as error:
        return str(error)
    return ""


def _stage(word: str) -> NamedKind:
    name, _, _ = word.partition(":")
    kind = MODEL_CODERS.named(name, or_else=f" joined by +, or {DUMMY} alone")
    return NamedKind.of(word, kind, "model coder")
