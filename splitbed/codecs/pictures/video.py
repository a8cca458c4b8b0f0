"""Video codecs, HEVC and AVC through PyAV, for picture inputs and mosaics of feature maps.

    tensor ──> pixels ──> padded frame ──> encoder ──> CRC-32, access unit ──> decoder ──> tensor

The quantiser is constant and the same for every frame (``ipratio=1``), tools that please only the
eye are off, and one thread codes, so that the same frames give the same bytes. Colour is BT.601
of full range, as in JPEG, in 4:2:0 or 4:4:4; a mosaic is monochrome.

Inter-frame coding is of low delay: no B frames, no lookahead, and only the first frame is intra. A
frame's bytes are there when the frame is, and the picture when the bytes are.

The CRC-32, 4 bytes, little-endian, is of the access unit; with inter-frame coding it is of all up
to this one. It tells of damaged, lost and repeated frames, of which the HEVC decoder would make a
wrong picture without a word.
"""

import re
import zlib
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Self

import numpy as np

from splitbed.codecs.pictures.mosaic import Canvas, canvas, check_size, most_bytes, takes
from splitbed.codecs.pictures.stills import CHROMAS
from splitbed.codecs.pictures.yuv import Yuv
from splitbed.codecs.stage import Array, Dial, Setting, Stage, StageKind, Unchanged, choices
from splitbed.errors import MachineError, NodeError
from splitbed.tensors import TensorInfo

if TYPE_CHECKING:
    from av import VideoFrame
    from av.video.codeccontext import VideoCodecContext

# the ladder is that of the common test conditions of HEVC and VVC, and one more
QP = Dial(0, 51, 30, False, (22, 27, 32, 37, 42))
PRESET = "veryfast"  # on maps, medium takes 1.1 to 3 times as long and gains 0 to 1 dB
PRESETS = (
    "ultrafast", "superfast", PRESET, "faster", "fast", "medium", "slow", "slower", "veryslow",
)  # fmt: skip
CRC_BYTES = 4
BLOCK = 8  # HEVC's least coding block: coded pictures are multiples of it
LEAST_SIDE = 32  # x265 refuses some pictures with a side of 16
FULL_RANGE = 2  # AVCOL_RANGE_JPEG
KEPT_BYTES = 64  # of an encoder and a decoder, for each pixel, at veryslow; in 4:4:4 twice that
MARGIN = 256  # on each side of the picture, what FFmpeg aligns buffers with, generously
ABOUT = re.compile(rb"\x00?\x00\x00\x01\x06.*?(?=\x00?\x00\x00\x01)", re.DOTALL)
"""A unit of side information: x264 puts 0.6 kB about itself into the first frame."""


@dataclass(frozen=True)
class _Kind:
    """One of the codecs; ``depth`` is how many bits a sample has."""

    encoder: str
    decoder: str
    depth: int
    sequential: bool
    summary: str
    lossless: bool = False
    calibrated: bool = True
    dial: Dial = QP
    chroma: str = CHROMAS[0]
    preset: str = PRESET

    def chosen(self, words: tuple[str, ...]) -> Self:
        """The kind of another chroma or preset."""
        said = choices(words, {"chroma": CHROMAS, "preset": PRESETS})
        chroma, preset = said.get("chroma", self.chroma), said.get("preset", self.preset)
        return replace(self, chroma=chroma, preset=preset)

    def __call__(self, info: TensorInfo, setting: Setting, parameter: int | None) -> Stage:
        qp = self.dial.step(parameter, "the quantiser (QP) of a video")
        if not takes(info, setting):
            return Unchanged(info)
        try:
            import av

            av.Codec(self.encoder, "w")
        except ImportError as error:
            raise MachineError(
                f"a video codec needs PyAV ({error}): run pip install 'splitbed[video]'"
            ) from error
        except ValueError as error:
            raise MachineError(
                f"this PyAV has no {self.encoder}: run pip install --force-reinstall av"
            ) from error
        return _Video(self, info, canvas(info, setting, self.depth), qp)

    def options(self, qp: int) -> dict[str, str]:
        """What the encoder is told."""
        words = f"qp={qp}:ipratio=1:scenecut=0"
        if self.encoder == "libx264":
            words += f":keyint={'infinite' if self.sequential else 1}"
            words += ":psy=0:threads=1:sliced-threads=0"
        else:
            words += f":keyint={-1 if self.sequential else 1}:bframes=0:rc-lookahead=0"
            words += ":psy-rd=0:psy-rdoq=0:info=0:log-level=none"
            words += ":pools=none:frame-threads=1:wpp=0"
        params = self.encoder.replace("lib", "") + "-params"
        return {"preset": self.preset, "tune": "zerolatency", params: words}


class _Video:
    """The stage of one tensor; the encoder and the decoder are opened when first needed."""

    def __init__(self, kind: _Kind, info: TensorInfo, picture: Canvas, qp: int) -> None:
        self._kind, self._name, self._canvas, self._qp = kind, info.name, picture, qp
        self._size = _padded(picture.size[0]), _padded(picture.size[1]), picture.size[2]
        chroma = kind.chroma if self._size[2] == 3 else ""
        self._yuv = Yuv(*self._size[:2], chroma, kind.depth, picture.bits)
        self._encoder: VideoCodecContext | None = None
        self._decoder: VideoCodecContext | None = None
        self._frames = self._sent = self._got = 0

    @property
    def encoded(self) -> TensorInfo:
        return TensorInfo(self._name, "UINT8", (-1,))

    @property
    def most_bytes(self) -> int:
        return most_bytes(self._size)

    @property
    def kept_bytes(self) -> int:
        each = KEPT_BYTES * (2 if self._yuv.chroma == "444" else 1)
        return each * self._size[0] * self._size[1]

    def encode(self, array: Array) -> Array:
        import av

        frame = self._yuv.frame(self._canvas.pack(array))
        frame.pts = self._frames
        try:
            self._encoder = self._encoder or self._open_encoder()
            packets = self._encoder.encode(frame)
        except av.FFmpegError as error:
            raise NodeError(
                f"{self._kind.encoder} failed on {frame.width}x{frame.height} pixels: {error}"
            ) from error
        if len(packets) != 1:
            raise NodeError(f"{self._kind.encoder} gave {len(packets)} packets for a frame")
        data = bytes(packets[0])
        if self._kind.encoder == "libx264":
            data = ABOUT.sub(b"", data)
        self._frames += 1
        self._sent = self._crc(data, self._sent)
        return np.frombuffer(self._sent.to_bytes(CRC_BYTES, "little") + data, np.uint8)

    def decode(self, array: Array) -> Array:
        data = array.tobytes()
        said, data = int.from_bytes(data[:CRC_BYTES], "little"), data[CRC_BYTES:]
        crc = self._crc(data, self._got)
        if crc != said or not data:
            raise NodeError(
                f"{len(data)} bytes of video have the CRC-32 {crc:08x} and not {said:08x}: damaged"
                + (", or a frame before them was lost" if self._kind.sequential else "")
            )
        self._got = crc
        height, width, _ = self._canvas.size
        pixels = self._yuv.pixels(self._picture(data))[:height, :width]
        return self._canvas.unpack(np.ascontiguousarray(pixels))

    def _crc(self, data: bytes, before: int) -> int:
        return zlib.crc32(data, before if self._kind.sequential else 0)

    def _open_encoder(self) -> "VideoCodecContext":
        import av

        encoder = av.CodecContext.create(self._kind.encoder, "w")
        assert isinstance(encoder, av.VideoCodecContext)
        encoder.height, encoder.width = self._size[:2]
        encoder.pix_fmt = self._yuv.format
        encoder.color_range = FULL_RANGE
        encoder.time_base = Fraction(1, 25)  # no bytes depend on it
        encoder.thread_count = 1
        encoder.options = self._kind.options(self._qp)
        encoder.open()
        return encoder

    def _open_decoder(self) -> "VideoCodecContext":
        import av
        from av.codec.context import Flags

        decoder = av.CodecContext.create(self._kind.decoder, "r")
        assert isinstance(decoder, av.VideoCodecContext)
        height, width, _ = self._size
        most = (height + MARGIN) * (width + MARGIN)
        decoder.options = {"max_pixels": str(most), "err_detect": "explode"}
        decoder.flags |= Flags.low_delay
        decoder.thread_count = 1  # more would each keep a frame back
        decoder.open()
        return decoder

    def _picture(self, data: bytes) -> "VideoFrame":
        """The one frame of ``data``, of the size and format due."""
        import av

        self._decoder = decoder = self._decoder or self._open_decoder()
        # After an error, a decoder may hold anything.
        self._decoder = None
        try:
            frames = decoder.decode(av.Packet(data))
        except av.FFmpegError as error:
            if decoder.width:  # what the bytes say, even where FFmpeg would not decode so much
                check_size((decoder.height, decoder.width), self._size[:2])
            raise NodeError(
                f"{len(data)} bytes are no whole frame of {self._kind.decoder}: {error.strerror}"
            ) from error
        if len(frames) != 1:
            raise NodeError(f"{len(data)} bytes are {len(frames)} frames and not one")
        (frame,) = frames
        form, due = frame.format.name.replace("yuvj", "yuv"), self._yuv.formats
        check_size((frame.height, frame.width), self._size[:2])
        if form not in due:
            raise NodeError(
                f"its pixels are {form} and not {' or '.join(due)};"
                " do both ends have the same codec?"
            )
        self._decoder = decoder
        return frame


def _padded(side: int) -> int:
    return max(-(-side // BLOCK) * BLOCK, LEAST_SIDE)


_HEVC, _AVC = ("libx265", "hevc"), ("libx264", "h264")
_CHOICE = f"QP 0 to {QP.most} ({QP.usual}); chroma 420 or 444, preset {PRESETS[0]} to {PRESETS[-1]}"
_CHOICE += f" ({CHROMAS[0]}, {PRESET})"
_INTRA, _INTER = f"all intra; {_CHOICE}", f"inter-frame, low delay; {_CHOICE}"
KINDS: dict[str, StageKind] = {
    "hevc": _Kind(*_HEVC, 8, False, f"HEVC, {_INTRA}"),
    "hevc-inter": _Kind(*_HEVC, 8, True, f"HEVC, {_INTER}"),
    "hevc10": _Kind(*_HEVC, 10, False, f"HEVC of 10 bits, {_INTRA}"),
    "hevc10-inter": _Kind(*_HEVC, 10, True, f"HEVC of 10 bits, {_INTER}"),
    "avc": _Kind(*_AVC, 8, False, f"AVC, {_INTRA}"),
    "avc-inter": _Kind(*_AVC, 8, True, f"AVC, {_INTER}"),
}
