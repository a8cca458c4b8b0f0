"""VMAF, where this machine has an ffmpeg with libvmaf; elsewhere it says that it has none."""

import numpy as np
import pytest
from PIL import Image, ImageFilter

from splitbed.errors import UsageError
from splitbed.media.shapes import sequence
from splitbed.metrics import vmaf as module
from splitbed.metrics.vmaf import Luma, vmaf


@pytest.fixture(scope="module")
def video() -> list[Luma]:
    return [
        np.asarray(Image.fromarray(picture).convert("L")) for picture, _ in sequence(1, 3, 256, 192)
    ]


def blurred(video: list[Luma], radius: float) -> list[Luma]:
    blur = ImageFilter.GaussianBlur(radius)
    return [np.asarray(Image.fromarray(frame).filter(blur)) for frame in video]


@pytest.mark.skipif(module.ffmpeg() is None, reason="no ffmpeg with libvmaf is here")
def test_the_blurrier_the_worse(video: list[Luma]) -> None:
    same, near, far = (
        vmaf(video, other).value for other in (video, blurred(video, 1), blurred(video, 3))
    )
    assert same is not None
    assert near is not None
    assert far is not None
    assert 100 >= same > 90
    assert same > near > far >= 0


@pytest.mark.skipif(module.ffmpeg() is None, reason="no ffmpeg with libvmaf is here")
def test_odd_sizes_are_taken(video: list[Luma]) -> None:
    odd = [np.ascontiguousarray(frame[:181, :243]) for frame in video]
    assert (vmaf(odd, odd).value or 0) > 90


def test_without_an_ffmpeg_there_is_none_and_a_reason(
    video: list[Luma], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ffmpeg", lambda: None)
    found = vmaf(video, video)
    assert found.value is None
    assert "no ffmpeg with libvmaf" in (found.reason or "")


def test_videos_that_do_not_match_are_refused(video: list[Luma]) -> None:
    with pytest.raises(UsageError, match="3 and 2 frames"):
        vmaf(video, video[:2])
    with pytest.raises(UsageError, match=r"\(96, 128\), \(192, 256\)"):
        vmaf(video, [frame[::2, ::2] for frame in video])
    with pytest.raises(UsageError, match="none"):
        vmaf([], [])
