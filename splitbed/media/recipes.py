"""How a picture becomes a model's input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from splitbed.tensors import TensorInfo

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class PictureRecipe:
    """Size, channel order and normalisation; ``(pixel / 255 - mean) / std`` for each channel.

    Three channels are red, green, blue; one is grey. The default normalisation is ImageNet's,
    with which SSD300 and most picture models were trained.
    """

    height: int
    width: int
    layout: Literal["NCHW", "NHWC"] = "NCHW"
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    datatype: str = "FP32"

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the input, batch 1."""
        channels = len(self.mean)
        if self.layout == "NCHW":
            return (1, channels, self.height, self.width)
        return (1, self.height, self.width, channels)


def recipe_for(tensor: TensorInfo) -> PictureRecipe | None:
    """The recipe for a model input that looks like a picture, else None.

    A picture is floating point and 1xCxHxW or 1xHxWxC with C 1 or 3. Nothing in an ONNX file says
    how its pictures were normalised: three channels get ImageNet's mean and deviation, grey
    stays 0..1.
    """
    if len(tensor.shape) != 4 or tensor.shape[0] != 1 or not tensor.datatype.startswith("FP"):
        return None
    layout: Literal["NCHW", "NHWC"]
    if tensor.shape[1] in (1, 3):
        layout, (channels, height, width) = "NCHW", tensor.shape[1:]
    elif tensor.shape[3] in (1, 3):
        layout, (height, width, channels) = "NHWC", tensor.shape[1:]
    else:
        return None
    mean, std = (IMAGENET_MEAN, IMAGENET_STD) if channels == 3 else ((0.0,), (1.0,))
    return PictureRecipe(height, width, layout, mean, std, tensor.datatype)
