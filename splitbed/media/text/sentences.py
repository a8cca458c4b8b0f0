"""Texts that are made on the spot: commands, as those of SpeechNet, a few in a row."""

from splitbed.media.dice import Dice
from splitbed.media.speech.commands import sentence

MOST_BYTES = 64
MOST_SENTENCES = 3


def text(seed: int, place: int) -> str:
    """One to three sentences of up to 64 bytes together, in lower case, each with its full stop.

    The same on every machine.
    """
    dice = Dice(seed * 1_000_003 + place)
    said = ""
    for _ in range(1 + dice.pick(MOST_SENTENCES)):
        longer = f"{said} {sentence(dice)}.".lstrip()
        if len(longer) > MOST_BYTES:
            break
        said = longer
    return said or text(seed, place + 1_000_000_007)
