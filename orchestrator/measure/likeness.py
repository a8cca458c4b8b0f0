"""How like pictures are: a result that is one to the whole model's, or to the source it shows."""

from collections.abc import Sequence

import numpy as np
from PIL import Image

from orchestrator.testbed.inputs import ModelInput
from splitbed.media.pictures import upright
from splitbed.media.video import Pixels
from splitbed.metrics.images import ImageQuality, image_quality
from splitbed.tensors import Tensors


def to_whole(whole: Tensors, result: Tensors) -> ImageQuality:
    """PSNR and SSIM of the first output against the whole model's, over its range."""
    name, array = next(iter(whole.items()))
    one, other = (np.atleast_2d(np.squeeze(picture)) for picture in (array, result[name]))
    if one.ndim == 3 and one.shape[0] in (1, 3):
        one, other = np.moveaxis(one, 0, -1), np.moveaxis(other, 0, -1)
    span = float(np.ptp(one.astype(np.float64))) or 1.0
    return image_quality(one, other, span)


class Sources:
    """The pictures that inputs were made of."""

    def __init__(self, inputs: Sequence[ModelInput]) -> None:
        self._inputs = inputs
        self._held: dict[int, Pixels] = {}

    def at(self, place: int, shape: tuple[int, ...]) -> Pixels | None:
        """That of an input, as pixels of ``shape``; None if it has fewer."""
        if place not in self._held:
            frame, (height, width, channels) = self._inputs[place].frame, shape
            if frame is None:
                return None
            picture = upright(frame.read(), frame.name).convert("L" if channels == 1 else "RGB")
            if picture.width < width or picture.height < height:
                return None
            resized = picture.resize((width, height), Image.Resampling.BICUBIC)
            self._held[place] = np.asarray(resized).reshape(shape)
        return self._held[place]
