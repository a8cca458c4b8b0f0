"""A dataset of one class a picture that every machine has: generated emblems."""

from functools import partial

from splitbed.media import emblems
from splitbed.media.datasets.frames import Dataset, Frame
from splitbed.media.datasets.generated import SIBLINGS, identify_pixels, seed_of
from splitbed.media.video import png

FRAMES = 1000


def open_emblems(part: str = "") -> Dataset:
    """The first pictures of the series of a seed, 0 where ``part`` is empty.

    Raises:
        UsageError: a part that is no whole number.
    """
    seed = seed_of("emblems", part)
    return Dataset(
        name="emblems",
        kind="emblems",
        source=f"emblems:{seed}",
        frames=[_frame(seed, place) for place in range(FRAMES)],
        classes=emblems.EMBLEMS,
        siblings=tuple(f"emblems:{one}" for one in SIBLINGS if one != seed),
    )


def _frame(seed: int, place: int) -> Frame:
    return Frame(
        f"{place:06}.png",
        f"emblems:{seed}",
        read=lambda: png(emblems.emblem(seed, place).picture),
        identify=partial(_identify, seed, place),
        label=emblems.label(seed, place),
    )


def _identify(seed: int, place: int) -> dict[str, str]:
    return identify_pixels(emblems.emblem(seed, place).picture, place)
