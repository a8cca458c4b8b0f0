"""Pixels as the frames that video codecs take, luma and two of colour or luma alone, and back."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from splitbed.codecs.pictures.mosaic import Pixels

if TYPE_CHECKING:
    from av import VideoFrame


@dataclass(frozen=True)
class Yuv:
    """The frames of one size, even both ways; BT.601 of full range.

    ``chroma`` is 420, 444 or nothing, ``depth`` the bits of a sample, ``bits`` those of a pixel.
    """

    height: int
    width: int
    chroma: str
    depth: int
    bits: int

    @property
    def format(self) -> str:
        """FFmpeg's word for the samples."""
        return (f"yuv{self.chroma}p" if self.chroma else "gray") + self._deep

    @property
    def formats(self) -> tuple[str, ...]:
        """What they may be decoded to: the AVC decoder gives monochrome as colour."""
        return (self.format,) if self.chroma else (self.format, f"yuv420p{self._deep}")

    @property
    def _deep(self) -> str:
        return "10le" if self.depth == 10 else ""

    @property
    def _dtype(self) -> npt.DTypeLike:
        return np.uint8 if self.depth == 8 else np.uint16

    def frame(self, pixels: Pixels) -> "VideoFrame":
        """The pixels, padded by repeating the last ones, as a frame."""
        import av

        height, width, _ = pixels.shape
        more = (0, self.height - height), (0, self.width - width), (0, 0)
        padded = np.pad(pixels, more, "edge")
        planes: list[npt.NDArray[Any]] = [padded[..., 0]]
        if self.chroma:
            luma, *colour = Image.fromarray(padded).convert("YCbCr").split()
            if self.chroma == "420":
                colour = [part.reduce(2) for part in colour]
            planes = [np.asarray(part) for part in (luma, *colour)]
        frame = av.VideoFrame(self.width, self.height, self.format)
        for plane, samples in zip(frame.planes, planes, strict=True):
            shifted = samples.astype(self._dtype) << (self.depth - self.bits)
            self._samples(plane)[:] = shifted
        return frame

    def pixels(self, frame: "VideoFrame") -> Pixels:
        """The reverse, still padded."""
        planes = [self._plane(plane) for plane in frame.planes[: 3 if self.chroma else 1]]
        if len(planes) == 1:
            return planes[0][..., np.newaxis]
        luma, *colour = (Image.fromarray(plane) for plane in planes)
        larger = (part.resize(luma.size, Image.Resampling.BILINEAR) for part in colour)
        return np.asarray(Image.merge("YCbCr", (luma, *larger)).convert("RGB"))

    def _plane(self, plane: Any) -> npt.NDArray[Any]:
        samples = self._samples(plane)
        if shift := self.depth - self.bits:
            samples = ((samples + (1 << shift >> 1)) >> shift).clip(0, 255).astype(np.uint8)
        return samples

    def _samples(self, plane: Any) -> npt.NDArray[Any]:
        """What is in a plane of a frame, without the ends of its lines."""
        rows = np.frombuffer(memoryview(plane), self._dtype).reshape(plane.height, -1)
        return rows[:, : plane.width]
