"""The dataset that every machine has: a generated sequence with exact ground truth."""

import re

from splitbed.errors import UsageError
from splitbed.media import shapes
from splitbed.media.datasets.frames import Dataset, Frame
from splitbed.media.files import hash_bytes
from splitbed.media.video import png
from splitbed.tasks.classes import SHAPES

FRAMES = 100
RATE_HZ = 25.0
LARGEST = 3840, 2160
SIBLINGS = range(101, 109)
"""Seeds of data that are neither measured (0 to 99) nor trained on (from 1000 on)."""
_SEED = re.compile(r"\d{0,18}", re.ASCII)
_PART = re.compile(r"(?P<seed>\d{0,18})(@(?P<width>\d{1,9})x(?P<height>\d{1,9}))?", re.ASCII)


def seed_of(name: str, part: str) -> int:
    """The seed that stands behind a dataset's colon, 0 where there is none.

    Raises:
        UsageError: a part that is no whole number, or one of more than 18 digits.
    """
    if not _SEED.fullmatch(part):
        raise UsageError(f"{name}:{part}: a whole number is the seed, as in {name}:7")
    return int(part or 0)


def open_shapes(part: str = "") -> Dataset:
    """The sequence of ``SEED@WIDTHxHEIGHT``: seed 0, and the usual size, where one is not given.

    Raises:
        UsageError: a part that is not written so, or a size that cannot be drawn.
    """
    asked = _PART.fullmatch(part)
    if asked is None:
        raise UsageError(
            f"shapes:{part}: a whole number is the seed, and a size follows @, as in shapes:7 and"
            " shapes:7@960x540"
        )
    seed, size = int(asked["seed"] or 0), (shapes.WIDTH, shapes.HEIGHT)
    size_words = ""
    if asked["width"]:
        size = int(asked["width"]), int(asked["height"])
        size_words = f"@{size[0]}x{size[1]}"
    source = f"shapes:{seed}{size_words}"
    if size[0] > LARGEST[0] or size[1] > LARGEST[1]:
        raise UsageError(f"will not draw {source}: {LARGEST[0]}x{LARGEST[1]} is the largest")
    film = shapes.Film(seed, *size)
    return Dataset(
        name="shapes",
        kind="shapes",
        source=source,
        frames=[_frame(film, index, source) for index in range(FRAMES)],
        classes=SHAPES,
        is_sequence=True,
        rate_hz=RATE_HZ,
        siblings=tuple(f"shapes:{one}{size_words}" for one in SIBLINGS if one != seed),
    )


def _frame(film: shapes.Film, index: int, source: str) -> Frame:
    return Frame(
        f"{index:06}.png",
        source,
        read=lambda: png(film.frame(index).picture),
        identify=lambda: identify_pixels(film.frame(index).picture, index),
        truth=lambda: film.frame(index).boxes,
    )


def identify_pixels(picture: shapes.Pixels, index: int) -> dict[str, str]:
    """Hashes of the pixels: a PNG's bytes vary with the library that writes it."""
    return {**hash_bytes(picture.tobytes()), "frame": str(index)}
