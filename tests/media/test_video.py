"""Videos: what is whole is read, what is not is named by file and frame."""

import struct
from pathlib import Path

import numpy as np
import pytest

from splitbed.errors import MachineError, UsageError
from splitbed.media.video import Video
from tests.media.making import HEIGHT, WIDTH, video


@pytest.mark.parametrize(
    ("name", "codec", "form"),
    [
        ("a.mp4", "libx264", "yuv420p"),
        ("a.mov", "libx264", "yuv420p"),
        ("a.avi", "mpeg4", "yuv420p"),
        ("a.mkv", "ffv1", "bgr0"),
        ("a.y4m", "wrapped_avframe", "yuv420p"),
        ("a.h264", "libx264", "yuv420p"),
    ],
)
def test_every_frame_of_a_format_is_read(tmp_path: Path, name: str, codec: str, form: str) -> None:
    read = Video(video(tmp_path / name, 12, codec, form))
    assert len(read) == 12
    assert {read.pixels(index).shape for index in range(12)} == {(HEIGHT, WIDTH, 3)}


def test_a_phones_upright_video_is_turned(tmp_path: Path) -> None:
    path = video(tmp_path / "a.mp4", 2, "libx264", "yuv420p")
    lying = Video(path).pixels(1)
    data = path.read_bytes()
    plain = struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
    right = struct.pack(">9i", 0, 1 << 16, 0, -(1 << 16), 0, 0, HEIGHT << 16, 0, 1 << 30)
    track = data.index(b"tkhd")
    path.write_bytes(data[:track] + data[track:].replace(plain, right, 1))
    turned = Video(path)
    assert (turned.width, turned.height) == (HEIGHT, WIDTH)
    assert np.array_equal(turned.pixels(1), np.rot90(lying, -1))


def test_a_video_that_ends_early_names_the_frame(tmp_path: Path) -> None:
    path = video(tmp_path / "a.avi", 12, "mpeg4", "yuv420p")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 6 // 10])
    read = Video(path)
    assert len(read) == 12
    with pytest.raises(
        UsageError, match=r"cannot decode frame \d of .*a\.avi: the video ends early"
    ):
        for index in range(12):
            read.pixels(index)


def test_a_matroska_file_that_is_shorter_than_it_says_is_refused(tmp_path: Path) -> None:
    path = video(tmp_path / "a.mkv", 12)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 6 // 10])
    with pytest.raises(
        UsageError, match=r"a\.mkv ends early, after frame \d: 0\.24 s were promised"
    ):
        Video(path)


def test_damage_names_the_frame_and_keeps_those_before(tmp_path: Path) -> None:
    path = video(tmp_path / "a.mp4", 12, "libx264", "yuv420p")
    data = bytearray(path.read_bytes())
    start, end = data.index(b"mdat"), data.index(b"moov") - 4
    middle = (start + end) // 2
    data[middle:end] = b"\xff" * (end - middle)
    path.write_bytes(data)
    read = Video(path)
    for _ in range(2):
        with pytest.raises(UsageError, match=r"cannot decode frame [3-7] of .*a\.mp4"):
            read.pixels(11)
        assert read.pixels(2).shape == (HEIGHT, WIDTH, 3)


def test_what_is_no_video_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"no video")
    with pytest.raises(UsageError, match=r"a\.mp4 is not a video that can be read"):
        Video(path)


def test_a_playlist_opens_no_other_file(tmp_path: Path) -> None:
    video(tmp_path / "secret.ts", 2, "libx264", "yuv420p")
    path = tmp_path / "a.mp4"
    path.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nsecret.ts\n#EXT-X-ENDLIST\n")
    with pytest.raises(UsageError, match=r"a\.mp4 is not a video that can be read"):
        Video(path)


def test_without_pyav_the_repair_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = video(tmp_path / "a.mkv", 1)
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    with pytest.raises(MachineError, match=r"pip install 'splitbed\[video\]'"):
        Video(path)
