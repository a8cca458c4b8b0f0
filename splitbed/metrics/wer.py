"""The word error rate of transcripts (clause 10.1.7), by jiwer."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from splitbed.errors import MachineError, UsageError
from splitbed.metrics.resampling import Array


@dataclass(frozen=True)
class WordErrors:
    """How many words were taken for others, left out and put in, of so many that were said."""

    substitutions: int
    deletions: int
    insertions: int
    words: int
    each: tuple[tuple[int, int], ...]
    """Errors and words of each transcript."""

    @property
    def rate(self) -> float | None:
        """All errors over all words, which is the clause's total; None without words."""
        wrong = self.substitutions + self.deletions + self.insertions
        return wrong / self.words if self.words else None

    def row(self) -> dict[str, float | None]:
        """The columns of a table."""
        return {
            "wer": self.rate,
            "words": self.words,
            "substitutions": self.substitutions,
            "deletions": self.deletions,
            "insertions": self.insertions,
        }


def resampled_rate(errors: WordErrors, drawn: Array) -> Array:
    """The rate of each resample; ``drawn`` is as :func:`splitbed.metrics.resampling.resamples`."""
    wrong, words = (drawn @ np.array(errors.each, np.float64)).T
    return np.asarray(wrong / words)


def word_errors(truth: Sequence[str], transcripts: Sequence[str]) -> WordErrors:
    """The errors of each of ``transcripts`` against ``truth``; upper and lower case are the same.

    Raises:
        UsageError: more or fewer transcripts than truth, or a truth without words.
        MachineError: jiwer is not installed.
    """
    try:
        import jiwer  # an optional extra
    except ImportError:
        raise MachineError(
            "the word error rate needs jiwer: run \"pip install 'splitbed[speech]'\""
        ) from None
    if len(truth) != len(transcripts):
        raise UsageError(
            f"cannot compare {len(transcripts)} transcripts with the truth of {len(truth)}"
        )
    if empty := [place for place, said in enumerate(truth) if not said.split()]:
        raise UsageError(f"there are no words in the truth of transcript {empty[0]}")
    if not truth:
        return WordErrors(0, 0, 0, 0, ())
    found = jiwer.process_words([t.upper() for t in truth], [t.upper() for t in transcripts])
    wrong = [
        sum(
            max(part.ref_end_idx - part.ref_start_idx, part.hyp_end_idx - part.hyp_start_idx)
            for part in row
            if part.type != "equal"
        )
        for row in found.alignments
    ]
    said = [len(words) for words in found.references]
    return WordErrors(
        found.substitutions, found.deletions, found.insertions, sum(said),
        tuple(zip(wrong, said, strict=True)),
    )  # fmt: skip
