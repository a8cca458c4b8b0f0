"""Painted frames as a video."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from splitbed.errors import RunError, UsageError
from splitbed.media.drawn_video import check_drawn_video, write_video

av = pytest.importorskip("av", reason="PyAV, of the extra 'video', is not installed")


def frames(count: int, size: tuple[int, int] = (65, 49)) -> Iterator[Image.Image]:
    return (Image.new("RGB", size, (20 * index, 128, 255)) for index in range(count))


def test_a_video_has_the_frames_in_order_and_an_even_size(tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    assert write_video(frames(10), out, 30) == 10
    with av.open(str(out)) as video:
        stream = video.streams.video[0]
        assert (stream.codec_context.name, stream.average_rate) == ("h264", 30)
        shown = [frame.to_ndarray(format="rgb24") for frame in video.decode(stream)]
    assert [frame.shape for frame in shown] == [(50, 66, 3)] * 10
    reds = [float(np.mean(frame[5:40, 5:60, 0])) for frame in shown]
    assert reds == pytest.approx([20 * index for index in range(10)], abs=6)
    assert list(tmp_path.iterdir()) == [out]


def test_a_video_that_fails_leaves_the_older_one_and_nothing_else(tmp_path: Path) -> None:
    def broken() -> Iterator[Image.Image]:
        yield from frames(3)
        raise RunError("the video ends early")

    out = tmp_path / "out.mp4"
    out.write_text("older")
    with pytest.raises(RunError, match="ends early"):
        write_video(broken(), out)
    assert [file.read_text() for file in tmp_path.iterdir()] == ["older"]


def test_frames_of_several_sizes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="65x49 and 80x60"):
        write_video([*frames(2), *frames(1, (80, 60))], tmp_path / "out.mp4")


def test_no_frames_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there are no frames"):
        write_video(frames(0), tmp_path / "out.mp4")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["out.avi", "out", "missing/out.mp4", "folder.mp4"])
def test_a_path_that_no_video_can_be_saved_at_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "folder.mp4").mkdir()
    with pytest.raises(UsageError, match="cannot save a video"):
        check_drawn_video(tmp_path / name)


def test_a_frame_rate_that_cannot_be_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="of 0 frames a second"):
        write_video(frames(1), tmp_path / "out.mp4", 0)
