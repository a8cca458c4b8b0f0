"""How like translations are to what they should be: clause 6's BLEU score, by sacrebleu."""

from collections.abc import Sequence

import numpy as np

from splitbed.errors import MachineError, UsageError
from splitbed.metrics.resampling import Array


class Bleu:
    """BLEU of translations as a corpus, 0 to 100 (Papineni et al., 2002), by sacrebleu.

    Words are the tokens as they are; there is nothing that makes text of them.
    """

    def __init__(self, truth: Sequence[Sequence[int]], said: Sequence[Sequence[int]]) -> None:
        """Count the n-grams of each translation and of its truth.

        Raises:
            UsageError: more or fewer translations than truth.
            MachineError: sacrebleu is not installed.
        """
        try:
            from sacrebleu.metrics.bleu import BLEU  # an optional extra
        except ImportError:
            raise MachineError(
                "the BLEU score needs sacrebleu: run \"pip install 'splitbed[text]'\""
            ) from None
        if len(truth) != len(said):
            raise UsageError(f"cannot compare {len(said)} translations with {len(truth)}")
        self._by = BLEU(tokenize="none", force=True)
        each = [  # sentence_score would warn of each that its own score is not meant
            self._by.corpus_score([_words(one)], [[_words(true)]])
            for one, true in zip(said, truth, strict=True)
        ]
        self._counts = np.array(
            [[one.sys_len, one.ref_len, *one.counts, *one.totals] for one in each], np.float64
        ).reshape(len(each), -1)

    @property
    def score(self) -> float | None:
        """Of all; None without translations."""
        return self._of(self._counts.sum(0)) if len(self._counts) else None

    def resampled(self, drawn: Array) -> Array:
        """That of each resample, as :func:`splitbed.metrics.resampling.resamples`."""
        return np.array([self._of(counts) for counts in drawn @ self._counts])

    def _of(self, counts: Array) -> float:
        said, true, *grams = counts.astype(int).tolist()
        order = len(grams) // 2
        score = self._by.compute_bleu(
            grams[:order], grams[order:], said, true, smooth_method=self._by.smooth_method
        )
        return float(score.score)


def _words(tokens: Sequence[int]) -> str:
    return " ".join(map(str, tokens))
