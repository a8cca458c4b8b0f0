"""What is spoken by whom: the splits of a corpus of commands, the same on every machine.

No sentence of ``dev`` or ``test`` is in ``train``. ``test`` has voices that no other split has, and
rooms and noise of its own.
"""

from dataclasses import dataclass

import numpy as np

from splitbed.media.dice import Dice
from splitbed.media.speech.commands import loose, sentence
from splitbed.media.speech.rooms import WINDOW, hear
from splitbed.media.speech.voices import HELD_OUT, TRAINED, Samples, Voice, speak, voice

SPLITS = {"dev": (1, 100), "test": (2, 150), "short": (3, 4000), "train": (4, 14_000)}
"""Seed and number of utterances; ``short`` has one or two words each."""
JUDGED = ("dev", "test")
FLITE = 0.08  # of the utterances of trained voices
MOST_LETTERS = 40  # of an utterance that any voice says within a window


@dataclass(frozen=True)
class Utterance:
    """A sentence, its place in its split, and who says it."""

    split: str
    place: int
    text: str
    by: Voice

    @property
    def name(self) -> str:
        """As LibriSpeech names files: speaker, chapter, utterance; these are split and place."""
        return f"{SPLITS[self.split][0]}-1-{self.place:04}"

    def spoken(self) -> Samples:
        """Raises MachineError where the synthesiser is not installed."""
        return speak(self.text, self.by)

    def recorded(self) -> Samples:
        """In a room with noise: a whole window of it. Raises as :meth:`spoken`."""
        rng = np.random.default_rng([SPLITS[self.split][0], self.place])
        heard = hear([self.spoken()], WINDOW, rng)[0]
        return np.asarray(np.rint(heard.clip(-1, 1) * 32767).astype(np.int16))


def utterances(split: str) -> list[Utterance]:
    """All of a split; what is judged is drawn first, so that nothing after it repeats it."""
    order = list(SPLITS)
    judged = [other for other in JUDGED if order.index(other) < order.index(split)]
    taken = {one.text for other in judged for one in utterances(other)}
    (seed, count), found = SPLITS[split], list[Utterance]()
    dice = Dice(seed)
    while len(found) < count:
        text = loose(dice, 1 + dice.pick(2)) if split == "short" else sentence(dice)
        if split != "short" and text in taken:
            continue
        unheard = split == "test"
        by = voice(dice, HELD_OUT if unheard else TRAINED, 0 if unheard else FLITE)
        found.append(Utterance(split, len(found), text, by))
        if split in JUDGED:
            taken.add(text)
    return found


def recordings(split: str) -> list[Utterance]:
    """Those of a split that any voice says within a window."""
    return [one for one in utterances(split) if len(one.text) <= MOST_LETTERS]
