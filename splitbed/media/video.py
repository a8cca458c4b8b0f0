"""Reading video files: frames in order, decoded when they are asked for."""

import io
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from threading import Lock
from types import ModuleType
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image

from splitbed.errors import MachineError, UsageError
from splitbed.media.files import check_plain
from splitbed.media.pictures import MAX_PIXELS

VIDEO_SUFFIXES = (
    ".264", ".265", ".avi", ".h264", ".h265", ".hevc", ".mkv", ".mov", ".mp4", ".webm", ".y4m",
)  # fmt: skip
FORMATS = {"format_whitelist": "mov,matroska,avi,yuv4mpegpipe,h264,hevc"}
"""Only what is a video itself: a playlist, for one, would have FFmpeg open what it names."""
STRICT = {"err_detect": "explode"}  # else decoders paint over what is damaged

Pixels = npt.NDArray[np.uint8]
T = TypeVar("T")


class InOrder(Generic[T]):
    """Items of an iterator by place, made as they are asked for.

    Only the last is kept; asking for an earlier one starts the iterator again.
    """

    def __init__(self, start: Callable[[], Iterator[T]]) -> None:
        self._start = start
        self._lock = Lock()
        self._items: Iterator[T] = iter(())
        self._last: tuple[int, T | None] = (-1, None)

    def __getitem__(self, index: int) -> T:
        with self._lock:
            place, item = self._last
            if item is None or index < place:
                self._items, place, item = self._start(), -1, None
            self._last = (-1, None)  # where this fails, the next call starts again
            try:
                while item is None or place < index:
                    place, item = place + 1, next(self._items)
            except StopIteration:
                raise IndexError(index) from None
            self._last = (place, item)
            return item


class Video:
    """A video file.

    Frames are upright, RGB, and converted from YUV as FFmpeg does by default. A frame that the
    decoder finds damaged is an error; no decoder finds all damage, so compare hashes where that
    matters. Opening counts the frames, which reads the file once.

    Raises:
        UsageError: the file cannot be read, is no video, has no frame or frames too large.
        MachineError: PyAV is missing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        av = _av(path)
        check_plain(path)
        try:
            with av.open(f"file:{path}", options=FORMATS) as container:
                if not container.streams.video:
                    raise UsageError(f"{path} holds no video")
                stream = container.streams.video[0]
                size = stream.codec_context.width, stream.codec_context.height
                rate = stream.average_rate or stream.guessed_rate
                self.rate_hz = float(rate) if rate else None
                self.count = _count(container, stream, path)
        except av.FFmpegError as error:
            raise UsageError(f"{path} is not a video that can be read: {error.strerror}") from None
        if size[0] * size[1] > MAX_PIXELS:
            raise UsageError(f"will not decode {path}: {size[0]}x{size[1]} is too large")
        self._frames = InOrder(self._decode)
        self.height, self.width = self.pixels(0).shape[:2] if self.count else (0, 0)
        if not self.count:
            raise UsageError(f"{path} holds no frame")

    def __len__(self) -> int:
        return self.count

    def pixels(self, index: int) -> Pixels:
        """The frame at ``index``, height x width x 3.

        Raises:
            UsageError: the video ends before it, or is damaged up to it.
        """
        return self._frames[index]

    def png(self, index: int) -> bytes:
        """The same as a PNG file; raises as :meth:`pixels`."""
        return png(self.pixels(index))

    def _decode(self) -> Iterator[Pixels]:
        index = 0
        for frame in _frames(self.path):
            yield _upright(frame)
            index += 1
        if index < self.count:
            raise UsageError(
                f"cannot decode frame {index} of {self.path}: the video ends early or is damaged"
                f" there, and should have {self.count} frames; get the file again"
            )


def png(pixels: Pixels) -> bytes:
    """Pixels, height x width x 3, as a PNG file."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", compress_level=1)
    return file.getvalue()


def _frames(path: Path) -> Iterator[Any]:
    """The frames of the video in ``path``, up to the first that is damaged."""
    av = _av(path)
    with suppress(av.FFmpegError), av.open(f"file:{path}", options=FORMATS) as container:
        stream = container.streams.video[0]
        stream.codec_context.options = STRICT
        for packet in container.demux(stream):
            try:
                frames, damaged = stream.decode(None if packet.is_corrupt else packet), False
            except av.FFmpegError:
                frames, damaged = stream.decode(None), True  # those that the decoder held back
            for frame in frames:
                if frame.is_corrupt:
                    return
                yield frame
            if damaged or packet.is_corrupt:
                return


def _upright(frame: Any) -> Pixels:
    pixels: Pixels = frame.to_ndarray(format="rgb24")
    return np.ascontiguousarray(np.rot90(pixels, round(frame.rotation / 90)))


def _count(container: Any, stream: Any, path: Path) -> int:
    """Frames to be shown, those that the header promises and the file lacks among them."""
    packets = shown = 0
    end_s = 0.0
    for packet in container.demux(stream):
        if packet.size:
            packets += 1
            shown += not packet.is_discard
            if packet.pts is not None:
                end_s = max(end_s, float((packet.pts + (packet.duration or 0)) * packet.time_base))
    promised_s = _seconds(stream.metadata.get("DURATION", ""))  # Matroska has no count of frames
    if shown and promised_s - end_s > 1.5 * end_s / shown:
        raise UsageError(
            f"{path} ends early, after frame {shown - 1}: {promised_s:g} s were promised,"
            f" {end_s:g} s are there"
        )
    return shown + max(int(stream.frames) - packets, 0)


def _seconds(duration: str) -> float:
    try:
        hours, minutes, seconds = map(float, duration.split(":"))
    except ValueError:
        return 0.0
    return hours * 3600 + minutes * 60 + seconds


def _av(path: Path) -> ModuleType:
    try:
        import av  # an optional extra
    except ImportError:
        raise MachineError(
            f"reading {path} needs PyAV: run \"pip install 'splitbed[video]'\""
        ) from None
    return av
