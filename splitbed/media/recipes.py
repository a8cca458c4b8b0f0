"""How a picture, a sound or a text becomes a model's input."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from splitbed.tensors import TensorInfo

Layout = Literal["NCHW", "NHWC"]
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
    layout: Layout = "NCHW"
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

    def made_for(self, tensor: TensorInfo) -> PictureRecipe:
        """The same for ``tensor``, where that has another size, or channels at the other end."""
        if len(tensor.shape) == 4:
            other: Layout = "NHWC" if self.layout == "NCHW" else "NCHW"
            for layout in (self.layout, other):
                height, width = tensor.shape[2:] if layout == "NCHW" else tensor.shape[1:3]
                made = replace(self, height=height, width=width, layout=layout)
                if made.shape == tensor.shape:
                    return made
        return self


@dataclass(frozen=True)
class SoundRecipe:
    """Samples of one channel; ``levelled`` gives them zero mean and unit variance."""

    samples: int
    """Of the input; what is shorter is filled up with silence."""
    rate: int = 16_000
    levelled: bool = True

    def made_for(self, tensor: TensorInfo) -> SoundRecipe:
        """The same for ``tensor``, where that has another size."""
        return replace(self, samples=tensor.shape[-1])


@dataclass(frozen=True)
class TokenRecipe:
    """Whole numbers that stand for words, letters or bytes."""

    length: int
    """Of the input; what is shorter is filled up at its end."""
    vocabulary: int = 0
    """How many tokens there are; 0 where that is not known."""
    filler: int = 0

    def made_for(self, tensor: TensorInfo) -> TokenRecipe:
        """The same for ``tensor``, where that has another size."""
        return replace(self, length=tensor.shape[-1])


Recipe = PictureRecipe | SoundRecipe | TokenRecipe


def image_recipe(tensor: TensorInfo) -> PictureRecipe | None:
    """How an output that is a picture is to be read: 0 to 1 where it is floating point.

    A picture is as for :func:`recipe_for`; eight bits are the pixels themselves. None for others.
    """
    found = recipe_for(tensor)
    if found is None or not tensor.datatype.startswith("FP"):
        return found
    channels = len(found.mean)
    return replace(found, mean=(0.0,) * channels, std=(1.0,) * channels)


def recipe_for(tensor: TensorInfo) -> PictureRecipe | None:
    """The recipe for a model input that looks like a picture, else None.

    A picture is 1xCxHxW or 1xHxWxC with C 1 or 3. Nothing in a model file says how its pictures
    were normalised, so custom decides. Floating point: three channels get ImageNet's mean and
    deviation where they come first (as PyTorch has them), -1..1 where they come last (as
    TensorFlow has them); grey stays 0..1. Eight bits: the pixels themselves, less 128 where signed.
    """
    if len(tensor.shape) != 4 or tensor.shape[0] != 1:
        return None
    layout: Layout
    if tensor.shape[1] in (1, 3):
        layout, (channels, height, width) = "NCHW", tensor.shape[1:]
    elif tensor.shape[3] in (1, 3):
        layout, (height, width, channels) = "NHWC", tensor.shape[1:]
    else:
        return None
    normal = _normalisation(tensor.datatype, layout, channels)
    return PictureRecipe(height, width, layout, *normal, tensor.datatype) if normal else None


def _normalisation(
    datatype: str, layout: str, channels: int
) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    match datatype, layout, channels:
        case "UINT8" | "INT8", _, _:
            zero = 0.0 if datatype == "UINT8" else 128 / 255
            return (zero,) * channels, (1 / 255,) * channels
        case (("FP16" | "FP32" | "FP64"), _, 1):
            return (0.0,), (1.0,)
        case (("FP16" | "FP32" | "FP64"), "NCHW", _):
            return IMAGENET_MEAN, IMAGENET_STD
        case (("FP16" | "FP32" | "FP64"), _, _):
            return (0.5,) * channels, (0.5,) * channels
    return None
