"""Tokens as the bytes that nodes are sent, and the model inputs that are made of them.

A sequence travels as :data:`MAGIC` and INT32 numbers, little-endian. Models take the tokens and, by
their names, what goes along with them:

==================  ===============================================================================
in the name         what the input holds
==================  ===============================================================================
``mask``            1 for each token, 0 behind the last
``position``        0, 1, 2 …
``type`` ``segment``  0
anything else       the tokens, and :attr:`~splitbed.media.recipes.TokenRecipe.filler` behind them
==================  ===============================================================================
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from splitbed.errors import UsageError
from splitbed.media.recipes import TokenRecipe
from splitbed.tensors import NUMPY_TYPES, TensorInfo, Tensors

MAGIC = b"\x93TOKENS\n"
MOST_TOKEN = 2**31 - 1
_WIDTH = np.dtype("<i4")
_ROLES = ("mask", "position", "type", "segment")

Tokens = npt.NDArray[np.int32]


def encoded(tokens: Sequence[int] | npt.NDArray[np.integer]) -> bytes:
    """Tokens as they travel."""
    return MAGIC + np.asarray(tokens, _WIDTH).tobytes()


def decoded(data: bytes, name: str) -> Tokens:
    """The tokens of :func:`encoded`; UsageError for what is none. ``name`` is what errors say."""
    if not data.startswith(MAGIC) or (len(data) - len(MAGIC)) % _WIDTH.itemsize:
        raise UsageError(
            f"{name} is no text: give a .txt, .jsonl, .npy or .npz file of tokens, or 'sentences'"
        )
    return np.frombuffer(data, _WIDTH, offset=len(MAGIC)).astype(np.int32)


def takes_tokens(inputs: Sequence[TensorInfo]) -> bool:
    """Whether :func:`preprocess` can make these: one of tokens, and what goes along with it."""
    return (
        all(len(one.shape) == 2 and one.shape[0] == 1 for one in inputs)
        and len({one.shape for one in inputs}) == 1
        and [one.is_index for one in inputs if not _role(one)] == [True]
    )


def preprocess(
    data: bytes, recipe: TokenRecipe, inputs: Sequence[TensorInfo], name: str
) -> Tensors:
    """The model inputs, 1xLENGTH each, of a sequence as it travels.

    Raises:
        UsageError: the bytes are no sequence, it is longer than ``recipe.length``, has a token that
            the model has not, or the model takes what cannot be made of tokens.
    """
    tokens = decoded(data, name)
    if not takes_tokens(inputs):
        taken = ", ".join(f"{one.name} {one.datatype}{list(one.shape)}" for one in inputs)
        raise UsageError(
            f"cannot make {taken} of {name}: tokens are one input of whole numbers 1xLENGTH, beside"
            f" which there may be as long ones with {', '.join(_ROLES)} in their names"
        )
    if not 0 < len(tokens) <= recipe.length:
        raise UsageError(
            f"{name} has {len(tokens)} tokens, the model takes 1 to {recipe.length}"
            + (f": give --shape {shape_for(inputs, len(tokens))}" if len(tokens) else "")
        )
    known = recipe.vocabulary or MOST_TOKEN
    if tokens.min() < 0 or tokens.max() >= known:
        wrong = next(int(one) for one in tokens if not 0 <= one < known)
        raise UsageError(f"{name} has the token {wrong}: the model knows 0 to {known - 1}")
    return {one.name: _made(one, tokens, recipe) for one in inputs}


def shape_for(inputs: Sequence[TensorInfo], length: int) -> str:
    """What ``--shape`` is for texts of so many tokens."""
    return ",".join(f"{one.name}=1x{length}" for one in inputs)


def _role(one: TensorInfo) -> str:
    return next((role for role in _ROLES if role in one.name.lower()), "")


def _made(one: TensorInfo, tokens: Tokens, recipe: TokenRecipe) -> npt.NDArray[np.generic]:
    values = np.zeros(recipe.length, np.int32)
    match _role(one):
        case "mask":
            values[: len(tokens)] = 1
        case "position":
            values[:] = np.arange(recipe.length)
        case "":
            values[:] = recipe.filler
            values[: len(tokens)] = tokens
    return values[np.newaxis].astype(NUMPY_TYPES[one.datatype])
