"""Resamples of pictures, and intervals of them."""

import numpy as np
import pytest

from splitbed.metrics.regression import regression_accuracy, resampled_r2
from splitbed.metrics.resampling import inner, mean_of, resamples


@pytest.mark.parametrize("is_sequence", [False, True])
@pytest.mark.parametrize("pictures", [1, 20, 97])
def test_every_resample_has_as_many_pictures(pictures: int, is_sequence: bool) -> None:
    drawn = resamples(pictures, is_sequence=is_sequence)
    assert (drawn.sum(axis=1) == pictures).all()
    assert drawn.mean(axis=0) == pytest.approx(1, abs=0.25)


def coverage(neighbours: int, *, is_sequence: bool) -> float:
    """Of 300 samples of 100 pictures, alike in runs: the share whose interval has the mean, 0."""
    dice, drawn = np.random.default_rng(3), resamples(100, is_sequence=is_sequence)
    held = 0
    for _ in range(300):
        scores = np.repeat(dice.normal(size=100 // neighbours), neighbours)
        low, high = inner(mean_of(scores, drawn)) or (1.0, 0.0)
        held += low <= 0 <= high
    return held / 300


def test_an_interval_holds_the_mean_as_often_as_it_says() -> None:
    assert coverage(1, is_sequence=False) > 0.91


def test_neighbours_that_are_alike_are_drawn_together() -> None:
    assert coverage(5, is_sequence=False) < 0.75
    assert coverage(5, is_sequence=True) > 0.85


def test_resamples_have_the_r2_of_their_pictures() -> None:
    dice = np.random.default_rng(4)
    true = dice.normal(5, 1, (6, 10))
    said = true + dice.normal(0, 0.3, true.shape)
    drawn = np.array([[1, 1, 1, 1, 1, 1], [0, 3, 0, 1, 0, 2]], np.float64)
    found = resampled_r2([*zip(true, said, strict=True)], drawn)
    for counts, r2 in zip(drawn.astype(int), found, strict=True):
        again = (np.repeat(true, counts, axis=0), np.repeat(said, counts, axis=0))
        assert r2 == pytest.approx(regression_accuracy(*again).r2)


def test_a_resample_that_comes_to_nothing_leaves_no_interval() -> None:
    assert inner(np.array([0.1, np.nan])) is None
