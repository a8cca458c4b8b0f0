"""What codecs are made of: stages, each of which turns one array into another and back."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from splitbed.media.recipes import PictureRecipe
from splitbed.tensors import TensorInfo

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Range:
    """Least and greatest value of each channel of a tensor, seen in calibration frames.

    Both are FP32 of shape (channels,).
    """

    low: Floats
    high: Floats


@dataclass(frozen=True)
class Setting:
    """What both ends know of the tensors before the first frame.

    ``ranges`` are by tensor name.  ``channels_last`` says where a tensor's channels are: last
    (TFLite), else at axis 1 (ONNX); a tensor of fewer than three dimensions has them last.
    ``picture`` is given where the tensor is a model's input and was made of a picture.
    """

    ranges: Mapping[str, Range] = field(default_factory=dict)
    channels_last: bool = False
    picture: PictureRecipe | None = None


class Stage(Protocol):
    """One step of a codec, for one tensor of a known name, datatype and shape.

    A stage is made anew for each cell and each end, and sees every frame in order: it may keep
    state between them, as a video codec does.
    """

    @property
    def encoded(self) -> TensorInfo:
        """What ``encode`` gives: a size of -1 depends on the content."""

    @property
    def most_bytes(self) -> int:
        """The most bytes that ``encode`` ever gives: a decoder takes no more."""

    def encode(self, array: Array) -> Array:
        """The array, encoded; NodeError for content that cannot be (NaN in a map to quantise)."""

    def decode(self, array: Array) -> Array:
        """The array, of the datatype and shape that ``encode`` takes.

        Raises NodeError for bytes that no encoder made, before memory is taken for what they say.
        """


class StageKind(Protocol):
    """A kind of stage, as a codec's name has it; ``int8``, ``zstd:3``.

    It is called as ``kind(info, setting, parameter)`` and gives a :class:`Stage` for the tensor
    ``info``; ``parameter`` is the whole number behind the colon, None where there is none.
    Raises UsageError for a parameter or a tensor that it cannot take.
    """

    lossless: bool
    calibrated: bool
    """Whether it needs ``Setting.ranges``."""
    sequential: bool
    """Whether a frame is coded with what is known of the frames before."""
    summary: str
    """A line for the list of codecs."""

    def __call__(self, info: TensorInfo, setting: Setting, parameter: int | None) -> Stage: ...
