"""Codecs of single pictures: the pixels of a model's input, raw or as JPEG (clause 5).

A network anchor sends what the camera gave, in 8 bits, not the floating point tensor that its
first layer takes. The decoder makes that tensor with the arithmetic of preprocessing.
"""

import io
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from PIL import Image

from splitbed.codecs.mosaic import Canvas, canvas, check_size, most_bytes, takes
from splitbed.codecs.stage import (
    Array,
    Dial,
    Setting,
    Stage,
    StageKind,
    Unchanged,
    UsualKind,
    choices,
)
from splitbed.errors import NodeError, UsageError
from splitbed.tensors import TensorInfo

QUALITY = Dial(1, 100, 75, True, (10, 30, 50, 75, 90))  # usual is libjpeg's and Pillow's default
CHROMAS = "420", "444"
"""Of colour, the usual first: a sample of it for every four pixels, or for each."""


@dataclass(frozen=True)
class _Raw:
    """A picture's pixels as they are."""

    info: TensorInfo
    canvas: Canvas

    @property
    def encoded(self) -> TensorInfo:
        return TensorInfo(self.info.name, "UINT8", self.canvas.size)

    @property
    def most_bytes(self) -> int:
        return self.encoded.nbytes

    def encode(self, array: Array) -> Array:
        return self.canvas.pack(array)

    def decode(self, array: Array) -> Array:
        return self.canvas.unpack(array)


@dataclass(frozen=True)
class _Jpeg:
    """A baseline JPEG file."""

    info: TensorInfo
    canvas: Canvas
    quality: int
    chroma: str

    @property
    def encoded(self) -> TensorInfo:
        return TensorInfo(self.info.name, "UINT8", (-1,))

    @property
    def most_bytes(self) -> int:
        return most_bytes(self.canvas.size)

    def encode(self, array: Array) -> Array:
        pixels, file = self.canvas.pack(array), io.BytesIO()
        image = Image.fromarray(pixels if pixels.shape[2] == 3 else pixels[..., 0])
        image.save(file, "JPEG", quality=self.quality, subsampling=":".join(self.chroma))
        return np.frombuffer(file.getvalue(), np.uint8)

    def decode(self, array: Array) -> Array:
        height, width, channels = self.canvas.size
        mode = "RGB" if channels == 3 else "L"
        try:
            with Image.open(io.BytesIO(array.tobytes()), formats=("JPEG",)) as image:
                check_size((image.height, image.width), (height, width))
                # Every scan of a progressive file covers the picture: few bytes, much work.
                if image.mode != mode or "progressive" in image.info:
                    raise NodeError(f"it came as JPEG, but not baseline in {mode}")
                pixels = np.asarray(image)
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            raise NodeError(f"{array.size} bytes are no whole JPEG: {error}") from error
        return self.canvas.unpack(pixels.reshape(self.canvas.size))


@dataclass(frozen=True)
class _RawKind(UsualKind):
    lossless: bool = True
    summary: str = "the 8-bit pixels of a picture input"

    def __call__(self, info: TensorInfo, setting: Setting, parameter: int | None) -> Stage:
        if parameter is not None:
            raise UsageError(f"it takes no number, and got {parameter}")
        if setting.picture is None:
            raise UsageError(
                "it is for a model's picture input, which crosses at the split 0:n; int8 takes maps"
            )
        return _Raw(info, canvas(info, setting, 8))


@dataclass(frozen=True)
class _JpegKind(UsualKind):
    calibrated: bool = True
    summary: str = f"JPEG; quality 1 to 100 ({QUALITY.usual}); chroma 420 or 444 (420)"
    dial: Dial = QUALITY
    chroma: str = CHROMAS[0]

    def chosen(self, words: tuple[str, ...]) -> Self:
        """The kind of another chroma."""
        said = choices(words, {"chroma": CHROMAS})
        return replace(self, chroma=said.get("chroma", self.chroma))

    def __call__(self, info: TensorInfo, setting: Setting, parameter: int | None) -> Stage:
        quality = self.dial.step(parameter, "the quality of a JPEG")
        if not takes(info, setting):
            return Unchanged(info)
        return _Jpeg(info, canvas(info, setting, 8), quality, self.chroma)


KINDS: dict[str, StageKind] = {"uint8": _RawKind(), "jpeg": _JpegKind()}
