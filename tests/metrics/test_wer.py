"""Word error rates are those of clause 10.1.7."""

import numpy as np
import pytest

pytest.importorskip("jiwer")

from splitbed.errors import UsageError
from splitbed.metrics.resampling import resamples
from splitbed.metrics.wer import resampled_rate, word_errors


def test_errors_are_summed_before_they_are_divided() -> None:
    found = word_errors(["A B C D", "E"], ["A X C", "E F G"])
    assert (found.substitutions, found.deletions, found.insertions) == (1, 1, 2)
    assert found.words == 5 and found.rate == pytest.approx(4 / 5)  # not the mean of 1/2 and 2
    assert found.each == ((2, 4), (2, 1))


def test_upper_and_lower_case_are_the_same() -> None:
    assert word_errors(["don't Stop"], ["DON'T STOP"]).rate == 0


def test_nothing_heard_is_every_word_left_out() -> None:
    found = word_errors(["ONE TWO"], [""])
    assert (found.rate, found.deletions) == (1, 2)


def test_resamples_weigh_transcripts_by_their_words() -> None:
    found = word_errors(["A B C D", "E"] * 15, ["A X C", "E F G"] * 15)
    rates = resampled_rate(found, resamples(30))
    assert rates.mean() == pytest.approx(found.rate, abs=0.05)
    assert np.allclose(resampled_rate(found, np.ones((1, 30))), 0.8)


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(UsageError, match="1 transcripts with the truth of 2"):
        word_errors(["A", "B"], ["A"])
    with pytest.raises(UsageError, match="no words in the truth of transcript 1"):
        word_errors(["A", " "], ["A", "B"])
