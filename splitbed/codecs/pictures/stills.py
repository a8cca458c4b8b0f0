"""Codecs of single pictures: the pixels of a model's input, raw, as JPEG or AVIF (clause 5).

A network anchor sends what the camera gave, in 8 bits, not the floating point tensor that its
first layer takes. The decoder makes that tensor with the arithmetic of preprocessing.

Of an AVIF file the AV1 bits cross alone. Its container takes some 260 bytes, a tenth of a small
picture, and is the same for all pictures of one size but for the number of bits' bytes: each end
makes it itself. Nothing that a stranger says of a picture's size is read.
"""

import io
import struct
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Self

import numpy as np
from PIL import Image, features

from splitbed.codecs.pictures.mosaic import Canvas, Pixels, canvas, check_size, most_bytes, takes
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
from splitbed.errors import MachineError, NodeError, UsageError
from splitbed.tensors import TensorInfo

QUALITY = Dial(1, 100, 75, True, (10, 30, 50, 75, 90))  # usual is libjpeg's and Pillow's default
CHROMAS = "420", "444"
"""Of colour, the usual first: a sample of it for every four pixels, or for each."""
# Pillow's usual is 75, finer than most networks need; the ladder spans what AVC's does
AVIF_QUALITY = Dial(0, 100, 50, True, (30, 40, 50, 60, 75))
SPEEDS = {"fast": 8, "medium": 6, "slow": 4}
"""libaom's, the usual first: medium takes 3 times as long for 3 % fewer bytes, slow 15 for 14 %."""
FRAME = 0x32  # the first byte of an AV1 unit that is a frame and says its size


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
class _Compressed:
    """What every picture has that takes as many bytes as its content needs."""

    info: TensorInfo
    canvas: Canvas

    @property
    def encoded(self) -> TensorInfo:
        return TensorInfo(self.info.name, "UINT8", (-1,))

    @property
    def most_bytes(self) -> int:
        return most_bytes(self.canvas.size)


@dataclass(frozen=True)
class _Jpeg(_Compressed):
    """A baseline JPEG file."""

    quality: int
    chroma: str

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
class _AvifWriter:
    """Files of one size; the same pixels give the same bytes."""

    size: tuple[int, int, int]
    quality: int
    chroma: str
    speed: int

    def write(self, pixels: Pixels) -> bytes:
        """The file of the pixels."""
        from PIL import AvifImagePlugin  # else Pillow imports all that it has, to find it

        del AvifImagePlugin
        colour, file = pixels.shape[2] == 3, io.BytesIO()
        Image.fromarray(pixels if colour else pixels[..., 0]).save(
            file,
            "AVIF",
            quality=self.quality,
            subsampling=":".join(self.chroma) if colour else "4:0:0",
            speed=self.speed,
            codec="aom",
            max_threads=1,
            advanced={"tune": "psnr"},  # as a network sees it; the usual is for the eye
        )
        return file.getvalue()


@dataclass(frozen=True)
class _AvifFile:
    """What files of one size have in common: all before the bits, and the first of the bits."""

    head: bytes
    start: bytes
    length_at: int
    """Where the head says how many bits' bytes there are, for the second time (item location)."""

    def of(self, bits: bytes) -> bytes:
        """The file of these bits."""
        head, size = bytearray(self.head), len(bits)
        struct.pack_into(">I", head, self.length_at, size)
        struct.pack_into(">I", head, len(head) - 8, size + 8)
        return bytes(head) + bits


@lru_cache(64)
def _avif_file(writer: _AvifWriter) -> _AvifFile:
    """What the writer's files have in common; MachineError where it cannot be had."""
    try:
        file = writer.write(np.zeros(writer.size, np.uint8))
        begin = file.index(b"mdat") + 4
        location = file.index(b"iloc") - 4
        (length,) = struct.unpack_from(">I", file, location)
        length_at = location + length - 4
        bits, due = file[begin:], struct.pack(">I", len(file) - begin)
        if file[length_at : length_at + 4] != due or bits[:3] != b"\x12\0\x0a":
            raise ValueError("it writes other files than are known here")
    except (ImportError, KeyError, OSError, RuntimeError, ValueError) as error:
        raise MachineError(
            f"this Pillow makes no AVIF ({error}): run pip install --force-reinstall 'pillow>=11.3'"
        ) from error
    return _AvifFile(file[:begin], bits[: 4 + bits[3]], length_at)


@dataclass(frozen=True)
class _Avif(_Compressed):
    """The AV1 bits of an AVIF file: a sequence header, by which both ends agree, and a frame."""

    writer: _AvifWriter
    file: _AvifFile

    def encode(self, array: Array) -> Array:
        file = self.writer.write(self.canvas.pack(array))
        bits = file[len(self.file.head) :]
        if not bits.startswith(self.file.start):
            raise NodeError("its AVIF has another header than that of a black picture")
        return np.frombuffer(bits, np.uint8)

    def decode(self, array: Array) -> Array:
        from PIL import AvifImagePlugin

        AvifImagePlugin.DEFAULT_MAX_THREADS = 1  # as of every codec here
        bits, start = array.tobytes(), self.file.start
        if not bits.startswith(start):
            raise NodeError(
                f"{len(bits)} bytes do not begin as those of {self.canvas.size[1]}x"
                f"{self.canvas.size[0]} pixels in AVIF; have both ends the same codec and Pillow?"
            )
        if not _is_frame(bits[len(start) :]):
            raise NodeError(f"{len(bits)} bytes are no single whole frame of AVIF")
        try:
            with Image.open(io.BytesIO(self.file.of(bits)), formats=("AVIF",)) as image:
                check_size((image.height, image.width), self.canvas.size[:2])
                pixels = np.asarray(image.convert("RGB" if self.canvas.size[2] == 3 else "L"))
        except (OSError, RuntimeError, SyntaxError, ValueError) as error:
            raise NodeError(f"{len(bits)} bytes are no whole AVIF: {error}") from error
        return self.canvas.unpack(pixels.reshape(self.canvas.size))


def _is_frame(unit: bytes) -> bool:
    """Whether these are one AV1 unit (5.3.1), a frame, and nothing behind it."""
    size = 0
    for place, byte in enumerate(unit[1:9]):
        size |= (byte & 127) << 7 * place
        if byte < 128:
            return unit[0] == FRAME and len(unit) == 2 + place + size
    return False


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


@dataclass(frozen=True)
class _AvifKind(UsualKind):
    calibrated: bool = True
    summary: str = (
        f"AV1, all intra, as in AVIF; quality 0 to 100 ({AVIF_QUALITY.usual});"
        f" chroma 444 or 420, speed {', '.join(SPEEDS)} (444, fast)"
    )
    dial: Dial = AVIF_QUALITY
    chroma: str = CHROMAS[1]
    speed: str = "fast"

    def chosen(self, words: tuple[str, ...]) -> Self:
        """The kind of another chroma or speed."""
        said = choices(words, {"chroma": CHROMAS, "speed": list(SPEEDS)})
        chroma, speed = said.get("chroma", self.chroma), said.get("speed", self.speed)
        return replace(self, chroma=chroma, speed=speed)

    def __call__(self, info: TensorInfo, setting: Setting, parameter: int | None) -> Stage:
        quality = self.dial.step(parameter, "the quality of an AVIF")
        if not takes(info, setting):
            return Unchanged(info)
        if not features.check("avif"):
            raise MachineError("this Pillow has no AVIF: run pip install --upgrade pillow")
        made = canvas(info, setting, 8)
        writer = _AvifWriter(made.size, quality, self.chroma, SPEEDS[self.speed])
        return _Avif(info, made, writer, _avif_file(writer))


KINDS: dict[str, StageKind] = {"uint8": _RawKind(), "jpeg": _JpegKind(), "avif": _AvifKind()}
