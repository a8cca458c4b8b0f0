"""VMAF (Li et al., Netflix, 2016), by an ffmpeg that has libvmaf, where this machine has one."""

import json
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt

from splitbed.errors import RunError, UsageError

LONGEST_S = 600
LEAST_SIDE = 16  # of what libvmaf's filters take
_WORDS = (
    *("-nostdin", "-v", "error", "-i", "other.y4m", "-i", "reference.y4m"),
    *("-lavfi", "[0:v][1:v]libvmaf=log_fmt=json:log_path=vmaf.json", "-f", "null", "-"),
)

Luma = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Vmaf:
    """The mean over the frames, 0 to 100, by libvmaf's own model; None where there is a reason."""

    value: float | None
    reason: str | None = None


def vmaf(reference: Sequence[Luma], other: Sequence[Luma]) -> Vmaf:
    """How good the video ``other`` looks beside ``reference``; frames are luma, HxW, all of a size.

    Raises:
        UsageError: no frames, not as many in both, or of several sizes.
        RunError: ffmpeg fails on them.
    """
    sizes = {frame.shape for frame in (*reference, *other)}
    if len(reference) != len(other) or len(sizes) != 1:
        raise UsageError(
            f"cannot compare videos of {len(reference)} and {len(other)} frames of the sizes"
            f" {', '.join(map(str, sorted(sizes))) or 'none'}: give as many frames, of one size"
        )
    if min(sizes.pop()) < LEAST_SIDE:
        return Vmaf(None, f"VMAF needs {LEAST_SIDE} pixels on each side")
    program = ffmpeg()
    if program is None:
        return Vmaf(None, "no ffmpeg with libvmaf is here: pip install 'splitbed[vmaf]' has one")
    with tempfile.TemporaryDirectory(prefix="splitbed-vmaf-") as name:
        folder = Path(name)
        for file, frames in (("other.y4m", other), ("reference.y4m", reference)):
            _write(folder / file, frames)
        _run([program, *_WORDS], folder)
        told = json.loads((folder / "vmaf.json").read_text())
    return Vmaf(float(told["pooled_metrics"]["vmaf"]["mean"]))


@cache
def ffmpeg() -> str | None:
    """The ffmpeg that has libvmaf, of the PATH or of the package imageio-ffmpeg, if any."""
    found = [shutil.which("ffmpeg")]
    if find_spec("imageio_ffmpeg"):
        import imageio_ffmpeg

        found.append(imageio_ffmpeg.get_ffmpeg_exe())
    for program in filter(None, found):
        if " libvmaf " in _run([program, "-v", "error", "-filters"], None):
            return program
    return None


def _run(argv: Sequence[str], folder: Path | None) -> str:
    done = subprocess.run(
        argv, cwd=folder, capture_output=True, text=True, timeout=LONGEST_S, check=False
    )
    if done.returncode:
        last = done.stderr.strip().rpartition("\n")[2]
        raise RunError(f"{argv[0]} failed to compute VMAF: {last or f'exit {done.returncode}'}")
    return done.stdout


def _write(path: Path, frames: Sequence[Luma]) -> None:
    """As YUV4MPEG2 in 4:2:0, the chroma grey: VMAF looks at luma alone."""
    height, width = frames[0].shape
    chroma = bytes([128]) * (2 * ((height + 1) // 2) * ((width + 1) // 2))
    with path.open("wb") as file:
        file.write(f"YUV4MPEG2 W{width} H{height} F25:1 Ip A1:1 C420jpeg\n".encode())
        for frame in frames:
            file.write(b"FRAME\n" + frame.tobytes() + chroma)
