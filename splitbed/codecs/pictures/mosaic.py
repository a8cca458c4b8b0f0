"""Tensors as one picture, for codecs of pictures: a model's input, or channels side by side."""

import math
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from splitbed.codecs.calibration import axis_of, limits_of, refuse_not_finite
from splitbed.codecs.stage import Array, Floats, Setting
from splitbed.errors import NodeError, UsageError
from splitbed.media.pictures import MAX_PIXELS, normalise, pixels_of
from splitbed.media.recipes import PictureRecipe
from splitbed.tensors import NUMPY_TYPES, TensorInfo

Pixels = npt.NDArray[Any]
"""Height x width x channels (3: red, green, blue; 1: grey), UINT8; above 8 bits UINT16."""

MAX_SIDE = 16384  # the most that x264 takes
LEAST_STEP = 1e-30  # less is too near to FP32's least number to divide by


class Canvas(Protocol):
    """A tensor as a picture and back."""

    @property
    def bits(self) -> int:
        """How many a pixel has for each channel."""

    @property
    def size(self) -> tuple[int, int, int]:
        """Height, width and channels of the pixels."""

    def pack(self, array: Array) -> Pixels:
        """The pixels; NodeError for NaN or infinity."""

    def unpack(self, pixels: Pixels) -> Array:
        """The tensor of pixels of ``size``."""


def takes(info: TensorInfo, setting: Setting) -> bool:
    """Whether a codec of pictures codes ``info``: it hands indices, masks and nothing on."""
    floats = info.datatype.startswith("FP") and 0 not in info.shape
    return floats or setting.picture is not None


def canvas(info: TensorInfo, setting: Setting, bits: int) -> Canvas:
    """The picture that ``info`` is, or the mosaic of ``bits`` deep pixels that its channels make.

    Raises:
        UsageError: a tensor that makes no picture, or that has no range in ``setting``.
    """
    made = PictureInput(info, setting.picture) if setting.picture else Tiles.of(info, setting, bits)
    height, width, _ = made.size
    if max(height, width) > MAX_SIDE or height * width > MAX_PIXELS:
        raise UsageError(
            f"its picture would have {width}x{height} pixels, and {MAX_SIDE} a side and"
            f" {MAX_PIXELS / 1e6:.0f} million in all are the most; int8 takes tensors of any size"
        )
    return made


@dataclass(frozen=True)
class PictureInput:
    """A model's input that was made of a picture; 8-bit, and exact both ways."""

    info: TensorInfo
    recipe: PictureRecipe
    bits: int = 8

    def __post_init__(self) -> None:
        made = TensorInfo(self.info.name, self.recipe.datatype, self.recipe.shape)
        if self.info != made:
            raise UsageError(f"pictures are made {made.datatype} {list(made.shape)} for this input")

    @property
    def size(self) -> tuple[int, int, int]:
        return self.recipe.height, self.recipe.width, len(self.recipe.mean)

    def pack(self, array: Array) -> Pixels:
        refuse_not_finite(array)
        return pixels_of(array, self.recipe)

    def unpack(self, pixels: Pixels) -> Array:
        return normalise(pixels, self.recipe)


@dataclass(frozen=True)
class Tiles:
    """Channels of a tensor, each quantised to its own range and laid out as tiles, near square.

    So do the anchors of MPEG's Feature Coding for Machines (ISO/IEC 23888-4). A tile is as wide as
    the tensor's last dimension that is not channels, and as high as all others together. Values
    outside the range of calibration go to its ends.
    """

    info: TensorInfo
    axis: int
    bits: int
    low: Floats
    step: Floats
    """Between neighbouring levels; 0 for a channel that never varied. Both are channels x 1 x 1."""

    @classmethod
    def of(cls, info: TensorInfo, setting: Setting, bits: int) -> "Tiles":
        """The mosaic of the tensor ``info``; UsageError as :func:`canvas`."""
        if min(info.shape, default=1) < 1:
            raise UsageError("the size of its channels is not known, or none")
        low, high = limits_of(info, setting)
        axis = axis_of(info, setting)
        step = (high - low) / np.float32(2**bits - 1)
        step[step < LEAST_STEP] = 0
        return cls(info, axis, bits, low.reshape(-1, 1, 1), step.reshape(-1, 1, 1))

    @property
    def tile(self) -> tuple[int, int]:
        """Height and width of a channel's tile."""
        height, width = math.prod(self._rest[:-1]), math.prod(self._rest[-1:])
        return height, width

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of tiles."""
        (height, width), channels = self.tile, self.low.size
        columns = min(channels, max(1, round(math.sqrt(channels * height / width))))
        return -(-channels // columns), columns

    @property
    def size(self) -> tuple[int, int, int]:
        (height, width), (rows, columns) = self.tile, self.grid
        return rows * height, columns * width, 1

    def pack(self, array: Array) -> Pixels:
        refuse_not_finite(array)
        (height, width), (rows, columns) = self.tile, self.grid
        planes = np.moveaxis(np.atleast_1d(array), self.axis, 0).reshape(-1, height, width)
        tiles = np.zeros((rows * columns, height, width), np.uint8 if self.bits == 8 else np.uint16)
        # What is beyond FP32 is infinite here, and goes to an end of its range like all beyond it;
        # in a channel that never varied it becomes NaN, which fmax makes 0.
        with np.errstate(over="ignore", invalid="ignore"):
            levels = planes.astype(np.float32) - self.low
            levels *= np.divide(1, self.step, out=np.zeros_like(self.step), where=self.step > 0)
        np.fmax(np.rint(levels, out=levels), 0, out=levels)
        tiles[: len(planes)] = np.minimum(levels, 2**self.bits - 1, out=levels)
        return tiles.reshape(rows, columns, height, width).swapaxes(1, 2).reshape(self.size)

    def unpack(self, pixels: Pixels) -> Array:
        (height, width), (rows, columns) = self.tile, self.grid
        tiles = pixels.reshape(rows, height, columns, width).swapaxes(1, 2)
        planes = tiles.reshape(-1, height, width)[: self.low.size] * self.step + self.low
        array = np.moveaxis(planes.reshape(-1, *self._rest), 0, self.axis)
        return np.ascontiguousarray(array.reshape(self.info.shape), NUMPY_TYPES[self.info.datatype])

    @property
    def _rest(self) -> tuple[int, ...]:
        """The shape without channels."""
        return self.info.shape[: self.axis] + self.info.shape[self.axis + 1 :]


def most_bytes(size: tuple[int, int, int]) -> int:
    """What a codec may make of pixels of such a height, width and channels.

    The worst pictures, black and white noise and checkers, took 1.9 bytes a sample at the best
    quality of JPEG, HEVC and AVC; 64 KiB are for headers.
    """
    return 3 * math.prod(size) + 65536


def check_size(found: tuple[int, int], due: tuple[int, int]) -> None:
    """NodeError unless the height and width of a decoded picture are those due."""
    if found != due:
        raise NodeError(
            f"its picture has {found[1]}x{found[0]} pixels and not {due[1]}x{due[0]};"
            " do both ends have the same codec?"
        )
