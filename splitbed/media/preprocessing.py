"""Preprocessing: what a frame's file becomes before a model sees it."""

from collections.abc import Sequence

from splitbed.errors import UsageError
from splitbed.media import pictures, sounds
from splitbed.media.recipes import Recipe, SoundRecipe, TokenRecipe
from splitbed.media.text import tokens
from splitbed.tensors import TensorInfo, Tensors


def preprocess(
    data: bytes,
    recipe: Recipe,
    inputs: Sequence[TensorInfo],
    name: str,
    most_bytes: int | None = None,
) -> Tensors:
    """The model inputs made of a picture's, a sound's or a text's bytes.

    ``name`` is what an error calls it. Decoded it has at most so many bytes, by default what any
    picture or sound may have.

    Raises:
        UsageError, MachineError: as ``preprocess`` of pictures, of sounds and of tokens.
    """
    if isinstance(recipe, TokenRecipe):
        return tokens.preprocess(data, recipe, inputs, name)
    if len(inputs) != 1:
        raise UsageError(f"a picture or sound is one input, the model takes {len(inputs)}")
    if isinstance(recipe, SoundRecipe):
        return {inputs[0].name: sounds.preprocess(data, recipe, name, most_bytes)}
    return {inputs[0].name: pictures.preprocess(data, recipe, name, most_bytes)}
