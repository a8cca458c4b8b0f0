"""Bicubic upsampling by two as a network: what super-resolution is held against (scenario 10.5).

Keys's kernel with a = -0.5, as Pillow and MATLAB have it. New pixels lie a quarter of a pixel to
either side of the old one, so that each is a sum of its 5x5 neighbours: one convolution does.
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt
from onnx import numpy_helper

from splitbed.errors import UsageError
from splitbed.zoo.layers import Conv, Floats
from splitbed.zoo.onnx_writer import initializers
from splitbed.zoo.upscaler import LUMA, SCALE, WRITER, doubler

Doubles = npt.NDArray[np.float64]

REACH = 2  # pixels to each side
A = -0.5
PAD = "/pad/Pad"
CONV = Conv("conv", "/conv/Conv", PAD, 1, SCALE**2, 2 * REACH + 1)
ORIGIN = "computed, not trained"


def build(weights: Path | None = None) -> tuple[bytes, str]:
    """The model file, and a line that says what its weights are.

    Raises:
        UsageError: any ``weights``.
    """
    if weights is not None:
        raise UsageError(f"--weights {weights}: bicubic has none to choose")
    around = [0, 0, REACH, REACH] * 2  # before and behind each dimension
    pad = WRITER.node("Pad", PAD, LUMA, "pads", mode="edge")
    held = initializers([CONV.module], {CONV.module: (kernels(), np.zeros(4, np.float32))})
    pads = numpy_helper.from_array(np.array(around, np.int64), "pads")
    model = doubler("bicubic", [pad, *WRITER.conv(CONV)], [*held, pads], ORIGIN)
    return model.SerializeToString(), ORIGIN


def kernels() -> Floats:
    """The filters 4x1x5x5 of the pixels that one becomes: top left, top right, and below these."""
    offsets = np.arange(-REACH, REACH + 1)
    before, after = (_keys(np.abs(offsets - at)) for at in (-1 / 4, 1 / 4))
    pairs = [np.outer(down, across) for down in (before, after) for across in (before, after)]
    return np.stack(pairs)[:, np.newaxis].astype(np.float32)


def _keys(distance: Doubles) -> Doubles:
    """Keys's cubic convolution kernel (1981)."""
    near = (A + 2) * distance**3 - (A + 3) * distance**2 + 1
    far = A * (distance**3 - 5 * distance**2 + 8 * distance - 4)
    return np.where(distance < 1, near, np.where(distance < 2, far, 0))
