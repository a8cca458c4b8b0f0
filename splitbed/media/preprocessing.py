"""Preprocessing: what a frame's file becomes before a model sees it."""

import numpy as np
import numpy.typing as npt

from splitbed.media import pictures, sounds
from splitbed.media.recipes import Recipe, SoundRecipe


def preprocess(
    data: bytes, recipe: Recipe, name: str, most_bytes: int | None = None
) -> npt.NDArray[np.generic]:
    """The model input made of a picture's or a sound's bytes; ``name`` is what an error calls it.

    Decoded it has at most so many bytes, by default what any picture or sound may have.

    Raises:
        UsageError, MachineError: as ``preprocess`` of pictures and of sounds.
    """
    if isinstance(recipe, SoundRecipe):
        return sounds.preprocess(data, recipe, name, most_bytes)
    return pictures.preprocess(data, recipe, name, most_bytes)
