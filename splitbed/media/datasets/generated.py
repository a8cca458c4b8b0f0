"""The dataset that every machine has: a generated sequence with exact ground truth."""

import hashlib
from functools import partial

from splitbed.errors import UsageError
from splitbed.media import shapes
from splitbed.media.datasets.frames import Dataset, Frame
from splitbed.media.video import InOrder, png
from splitbed.tasks.boxes import Box
from splitbed.tasks.classes import SHAPES

FRAMES = 100
RATE_HZ = 25.0


def open_shapes(seed: str = "") -> Dataset:
    """The sequence of a seed, 0 where that is empty; UsageError where it is no whole number."""
    if not (seed or "0").isdecimal():
        raise UsageError(f"shapes:{seed}: the seed is a whole number, as in shapes:7")
    number = int(seed or 0)
    drawn = InOrder(lambda: shapes.sequence(number, FRAMES))
    return Dataset(
        name="shapes",
        kind="shapes",
        source=f"shapes:{number}",
        frames=[_frame(drawn, index, number) for index in range(FRAMES)],
        classes=SHAPES,
        is_sequence=True,
        rate_hz=RATE_HZ,
    )


def _frame(drawn: InOrder[tuple[shapes.Pixels, list[Box]]], index: int, seed: int) -> Frame:
    return Frame(
        f"{index:06}.png",
        f"shapes:{seed}",
        read=lambda: png(drawn[index][0]),
        identify=partial(_identify, drawn, index),
        truth=lambda: drawn[index][1],
    )


def _identify(drawn: InOrder[tuple[shapes.Pixels, list[Box]]], index: int) -> dict[str, str]:
    """Hashes of the pixels: a PNG's bytes vary with the library that writes it."""
    pixels = drawn[index][0].tobytes()
    md5 = hashlib.md5(pixels, usedforsecurity=False).hexdigest()
    return {"sha256": hashlib.sha256(pixels).hexdigest(), "md5": md5, "frame": str(index)}
