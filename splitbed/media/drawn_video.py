"""Painted frames saved as a video."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from itertools import chain
from pathlib import Path
from types import ModuleType

from PIL import Image

from splitbed.errors import MachineError, UsageError

QUALITY = "18"  # CRF of x264: the eye sees hardly a loss


def check_drawn_video(path: Path) -> None:
    """Refuse what :func:`write_video` could not do, before anything is computed.

    Raises:
        UsageError: a path that no video can be saved at.
        MachineError: PyAV is missing.
    """
    if path.suffix.lower() != ".mp4":
        raise UsageError(f"cannot save a video as {path}: end the name in .mp4")
    if path.is_dir():
        raise UsageError(f"cannot save a video as {path}: it is a folder, name a file in it")
    if not path.parent.is_dir():
        raise UsageError(f"cannot save a video as {path}: make the folder {path.parent} first")
    _av()


def write_video(frames: Iterable[Image.Image], path: Path, rate_hz: float = 25) -> int:
    """Write frames as H.264 (yuv420p) in an .mp4 file; how many there were.

    Frames have the size of the first; an odd width or height gets a black column or row more,
    which H.264 needs. The file at ``path`` is written whole or not at all.

    Raises:
        UsageError: as :func:`check_drawn_video`; no frames, or of several sizes; a frame rate
            that cannot be; no writing to ``path``.
        MachineError: PyAV is missing.
    """
    check_drawn_video(path)
    if not 0.01 <= rate_hz <= 1000:
        raise UsageError(f"cannot save a video of {rate_hz:g} frames a second: 0.01 to 1000 can be")
    coming = iter(frames)
    first = next(coming, None)
    if first is None:
        raise UsageError(f"cannot save a video as {path}: there are no frames")
    with _file(path) as draft:
        return _encode(_even(chain([first], coming), path), draft, rate_hz)


def _encode(frames: Iterator[Image.Image], draft: Path, rate_hz: float) -> int:
    av = _av()
    rate = Fraction(rate_hz).limit_denominator(1001)
    count = 0
    with av.open(str(draft), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate, options={"crf": QUALITY})
        for frame in frames:
            if not count:
                stream.width, stream.height = frame.size
                stream.pix_fmt = "yuv420p"
            container.mux(stream.encode(av.VideoFrame.from_image(frame)))
            count += 1
        container.mux(stream.encode())
    return count


def _even(frames: Iterator[Image.Image], path: Path) -> Iterator[Image.Image]:
    size = None
    for frame in frames:
        size = size or frame.size
        if frame.size != size:
            sizes = " and ".join("x".join(map(str, each)) for each in (size, frame.size))
            raise UsageError(f"cannot save frames of several sizes, {sizes}, as {path}")
        padded = Image.new("RGB", (size[0] + size[0] % 2, size[1] + size[1] % 2))
        padded.paste(frame)
        yield padded


@contextmanager
def _file(path: Path) -> Iterator[Path]:
    draft = path.with_name(f".{path.name}.draft")
    try:
        yield draft
        draft.replace(path)
    except (OSError, _av().FFmpegError) as error:
        raise UsageError(f"cannot save the video as {path}: {error}") from error
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)


def _av() -> ModuleType:
    try:
        import av
    except ImportError as error:
        raise MachineError(
            f"videos need PyAV, which is not installed ({error}): pip install 'splitbed[video]'"
        ) from None
    return av
