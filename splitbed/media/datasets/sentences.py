"""A dataset of texts that every machine has: generated sentences, a token a byte."""

from splitbed.media.datasets.frames import Dataset
from splitbed.media.datasets.generated import SIBLINGS, seed_of
from splitbed.media.datasets.texts import text_frame
from splitbed.media.text.sentences import text

FRAMES = 200
LIKE_IT = 4
"""Other series: two that codecs are calibrated on, two that their numbers are searched on."""


def open_sentences(part: str = "") -> Dataset:
    """The first texts of the series of a seed, 0 where ``part`` is empty.

    Raises:
        UsageError: a part that is no whole number.
    """
    seed = seed_of("sentences", part)
    source = f"sentences:{seed}"
    return Dataset(
        name="sentences",
        kind="sentences",
        source=source,
        frames=[
            text_frame(f"{place:06}.txt", source, list(text(seed, place).encode()))
            for place in range(FRAMES)
        ],
        siblings=tuple(f"sentences:{one}" for one in SIBLINGS[:LIKE_IT] if one != seed),
    )
