"""Transcripts of speech: what a recogniser's logits spell."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from splitbed.errors import UsageError
from splitbed.tensors import TensorInfo, Tensors

LABELS = "-|ETAONIHSRDLUMWCFGYPBVK'XJQZ"
"""Those of clause 10.1.2, in its order: the blank, the space between words, the letters."""
BLANK, SPACE = LABELS.index("-"), LABELS.index("|")
RESULTS = (TensorInfo("transcript", "UINT8", (-1,)),)
"""What :func:`decode` gives: the letters, in ASCII, upper case."""

Floats = npt.NDArray[np.floating]


def decode(outputs: Tensors) -> Tensors:
    """The transcript of one utterance by the label selector.

    Takes one output of 1xFRAMESx29.

    Raises:
        UsageError: several outputs, or one of another shape.
    """
    (first, *others) = outputs.values()
    if others or first.ndim != 3 or first.shape[0] != 1 or first.shape[2] != len(LABELS):
        found = {name: array.shape for name, array in outputs.items()}
        raise UsageError(f"cannot read a transcript from {found}: 1xFRAMESx{len(LABELS)} is wanted")
    return {"transcript": np.frombuffer(selected(first[0]).encode(), np.uint8)}


def transcript(result: Tensors) -> str:
    """The text in a result of :func:`decode`."""
    return result["transcript"].tobytes().decode("ascii", errors="replace")


def selected(logits: npt.NDArray[np.generic]) -> str:
    """The label selector of clause 10.1.2, which takes the likeliest label of each frame.

    What is selected several times in a row counts once, and blanks are left out; words are put
    apart by one space.
    """
    best = logits.argmax(-1)
    changed = np.append(True, best[1:] != best[:-1])
    letters = "".join(LABELS[label] for label in best[changed].tolist() if label != BLANK)
    return " ".join(letters.replace(LABELS[SPACE], " ").split())


class Lexicon:
    """The likeliest transcript of words of a closed vocabulary, in any order.

    Viterbi's search through a loop of the words. A word is its labels with blanks between them,
    which may be skipped where the labels differ; between two words there is the space, with
    blanks around it.
    """

    def __init__(self, words: Sequence[str]) -> None:
        self._words = [word.upper() for word in words]
        labels, word_of, starts, ends, skips = (list[int]() for _ in range(5))
        for number, word in enumerate(self._words):
            spelled = [LABELS.index(letter) for letter in word]
            for at, label in enumerate(spelled):
                if at:
                    labels.append(BLANK)
                    skips.append(False)
                labels.append(label)
                skips.append(at > 0 and spelled[at - 1] != label)
            starts.append(len(word_of))
            word_of += [number] * (2 * len(word) - 1)
            ends.append(len(word_of) - 1)
        self._states = len(labels)
        before, after, space, behind = range(self._states, self._states + 4)
        self._around = before, after, space, behind
        self._labels = np.array([*labels, BLANK, BLANK, SPACE, BLANK])
        self._word_of, self._ends = word_of, np.array(ends)
        self._starts = np.zeros(self._states, bool)
        self._starts[starts] = True
        self._skips = np.array(skips)

    def __call__(self, logits: npt.NDArray[np.generic]) -> str:
        """The transcript of FRAMESx29 logits, in upper case."""
        shifted = logits.astype(np.float64) - logits.max(-1, keepdims=True)
        odds = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
        before, after, _, _ = self._around
        score = np.full(self._states + 4, -np.inf)
        score[: self._states][self._starts] = 0
        score[before] = 0
        score += odds[0, self._labels]
        came = []
        for row in odds[1:]:
            came.append(self._step(score))
            score = score[came[-1]] + row[self._labels]
        finals = np.append(self._ends, after)
        at = int(finals[score[finals].argmax()])
        path = [at]
        for back in reversed(came):
            at = int(back[at])
            path.append(at)
        return " ".join(self._said(path[::-1]))

    def _step(self, score: Floats) -> npt.NDArray[np.intp]:
        """From which state each is best reached: itself, the ones before it, or the last word."""
        states, places = self._states, np.arange(self._states)
        before, after, space, behind = self._around
        last = int(self._ends[score[self._ends].argmax()])
        gate = max((before, space, behind), key=score.__getitem__)
        inside = score[:states]
        one = np.append(-np.inf, np.where(self._starts[1:], -np.inf, inside[:-1]))
        two = np.append([-np.inf] * 2, np.where(self._skips[2:], inside[:-2], -np.inf))
        new = np.where(self._starts, score[gate], -np.inf)
        choice = np.stack([inside, one, two, new]).argmax(0)
        back = np.where(choice == 3, gate, places - choice)
        outside = [
            before,
            max((after, last), key=score.__getitem__),
            max((space, after, last), key=score.__getitem__),
            max((behind, space), key=score.__getitem__),
        ]
        return np.append(back, outside)

    def _said(self, path: list[int]) -> list[str]:
        """The words that a path enters, each at its first label."""
        return [
            self._words[self._word_of[at]]
            for was, at in zip([-1, *path], path, strict=False)
            if at < self._states and at != was and self._starts[at]
        ]
