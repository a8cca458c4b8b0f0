"""Pictures that a super-resolution network makes: their pixels."""

import numpy as np
import numpy.typing as npt

from splitbed.errors import UsageError
from splitbed.media.pictures import pixels_of
from splitbed.media.recipes import image_recipe
from splitbed.tensors import DATATYPES, TensorInfo, Tensors

RESULTS = (TensorInfo("pixels", "UINT8", (-1, -1, -1)),)
"""What :func:`decode` gives: height x width x channels, of which 1 is grey."""


def decode(outputs: Tensors) -> Tensors:
    """The one output, a picture of 1 or 3 channels, as 8-bit pixels; raises as :func:`pixels`."""
    return {RESULTS[0].name: pixels(outputs)}


def pixels(outputs: Tensors) -> npt.NDArray[np.uint8]:
    """The same pixels alone, height x width x channels.

    Floating point is 0 to 1, and what lies beyond goes to the ends; 8 bits are pixels.

    Raises:
        UsageError: several outputs, one that is no picture, or that is not finite.
    """
    (name, first), *others = outputs.items()
    recipe = image_recipe(TensorInfo(name, DATATYPES[first.dtype], first.shape))
    if others or recipe is None:
        found = {name: f"{array.dtype}{list(array.shape)}" for name, array in outputs.items()}
        raise UsageError(f"cannot read a picture from outputs {found}: one of 1xCxHxW is wanted")
    if not np.isfinite(first).all():
        raise UsageError(f"cannot read a picture from {name}: it holds NaN or infinity")
    return pixels_of(first, recipe)
