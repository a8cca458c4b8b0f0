"""A dataset: pictures of noise, `noise:SEED`."""

import hashlib
import io

import numpy as np
from PIL import Image

from splitbed.errors import UsageError
from splitbed.media.datasets import Dataset, Frame

_FRAMES, _SIDE = 8, 32


def open_noise(seed: str) -> Dataset:
    """The pictures of a seed, 0 where none is given."""
    if not (seed or "0").isdecimal():
        raise UsageError(f"noise:{seed}: the seed is a whole number, as in noise:7")
    frames = [_frame(int(seed or 0), index) for index in range(_FRAMES)]
    return Dataset("noise", "noise", f"noise:{seed or 0}", frames)


def _frame(seed: int, index: int) -> Frame:
    pixels = np.random.default_rng((seed, index)).integers(0, 256, (_SIDE, _SIDE), np.uint8)
    png = io.BytesIO()
    Image.fromarray(pixels).save(png, "PNG")
    digest = hashlib.sha256(pixels.tobytes()).hexdigest()
    return Frame(f"{index}.png", f"noise:{seed}", png.getvalue, lambda: {"sha256": digest})
