"""Preprocessing: what a frame's file becomes before a model sees it."""

import numpy as np
import numpy.typing as npt

from splitbed.media import pictures, sounds
from splitbed.media.recipes import Recipe, SoundRecipe


def preprocess(data: bytes, recipe: Recipe, name: str) -> npt.NDArray[np.generic]:
    """The model input made of a picture's or a sound's bytes; ``name`` is what an error calls it.

    Raises:
        UsageError, MachineError: as ``preprocess`` of pictures and of sounds.
    """
    if isinstance(recipe, SoundRecipe):
        return sounds.preprocess(data, recipe, name)
    return pictures.preprocess(data, recipe, name)
