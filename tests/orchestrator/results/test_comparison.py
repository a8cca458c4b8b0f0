"""Frames held against frames: intervals that cover, and equals that are not told apart."""

import math
from collections.abc import Callable

import numpy as np
import pytest

from orchestrator.results.statistics.comparison import DEPENDENT, difference, holm

Noise = Callable[[np.random.Generator, int], "np.ndarray[tuple[int], np.dtype[np.float64]]"]

NORMAL: Noise = lambda rng, n: 100 + 3 * rng.standard_normal(n)  # noqa: E731
SKEWED: Noise = lambda rng, n: 90 + 10 * np.exp(0.8 * rng.standard_normal(n))  # noqa: E731
NOISES = pytest.mark.parametrize("noise", [NORMAL, SKEWED], ids=["normal", "skewed"])


@NOISES
@pytest.mark.parametrize("frames", [3, 5, 6, 11, 20])
def test_the_interval_covers_the_ratio_as_often_as_it_says(noise: Noise, frames: int) -> None:
    rng, tries, covered = np.random.default_rng(frames), 600, 0
    for _ in range(tries):
        found = difference(noise(rng, frames).tolist(), (1.1 * noise(rng, frames)).tolist())
        assert found is not None
        covered += found.low <= 1.1 <= found.high
    assert covered / tries >= 0.95 - 2 * (0.95 * 0.05 / tries) ** 0.5


@NOISES
@pytest.mark.parametrize("frames", [3, 8, 20])
def test_of_20_comparisons_of_equals_none_is_told_apart_in_95_of_100_cases(
    noise: Noise, frames: int
) -> None:
    rng, families, wrong = np.random.default_rng(frames), 150, 0
    for _ in range(families):
        found = [
            difference(noise(rng, frames).tolist(), noise(rng, frames).tolist()) for _ in range(20)
        ]
        corrected = holm([one.p for one in found if one])
        wrong += any(
            p <= 0.05 and one.tells for p, one in zip(corrected, found, strict=True) if one
        )
    assert wrong / families <= 0.05 + 2 * (0.95 * 0.05 / families) ** 0.5


def test_the_cost_of_inputs_that_both_share_hides_no_difference() -> None:
    rng = np.random.default_rng(1)
    inputs = rng.uniform(500, 1500, 20)
    found = difference(inputs.tolist(), (inputs * 1.02 + rng.normal(0, 1, 20)).tolist())
    assert found is not None and found.tells and 1.018 < found.ratio < 1.022


@pytest.mark.parametrize(("pairs", "rank"), [(6, 1), (8, 1), (9, 2), (20, 6), (100, 40)])
def test_from_6_pairs_on_the_interval_is_that_of_the_sign_test_widened(
    pairs: int, rank: int
) -> None:
    """The ranks are those of a table of the sign test (Conover, table A3)."""
    logs = np.arange(1, pairs + 1) - (pairs + 1) / 2
    found = difference([1.0] * pairs, np.exp(logs).tolist())
    assert found is not None
    reach = (pairs + 1) / 2 - rank
    assert (found.low, found.high) == pytest.approx(
        (math.exp(-DEPENDENT * reach), math.exp(DEPENDENT * reach))
    )


def test_of_fewer_pairs_it_is_said_to_be_students() -> None:
    few, enough = (difference([10.0, 11] * n, [12.0, 13] * n) for n in (2, 3))
    assert few is not None and few.by == "Student's t of 4 pairs"
    assert enough is not None and enough.by == "sign test"
    assert difference([10.0], [12.0]) is None


def test_as_many_frames_more_as_it_says_do_tell() -> None:
    rng, told = np.random.default_rng(2), 0

    def times(rng: np.random.Generator, n: int) -> tuple[list[float], list[float]]:
        """Of seconds: milliseconds hide no such change."""
        return (100 * NORMAL(rng, n)).tolist(), (102 * NORMAL(rng, n)).tolist()

    for _ in range(100):
        few = difference(*times(rng, 8))
        more = few.more_to_tell() if few and abs(few.ratio - 1.02) < 0.01 else None
        n = 8 + (more or 100)
        found = difference(*times(rng, n))
        told += found is not None and found.tells
    assert told >= 70


def test_frames_that_agree_tell_no_more_than_cells_do() -> None:
    """Three frames are the same by a coarse clock, or by chance; cells differ all the same."""
    close, apart = (difference([1e4] * 3, [ms] * 3) for ms in (10090, 10300))
    assert close is not None and apart is not None
    assert (close.tells, apart.tells) == (False, True)
    assert 0.05 < close.p < 0.1 and close.more_to_tell() is None
    assert apart.low < 1.03 / 1.009
    short = difference([10.0] * 9, [12.0] * 9)
    assert short is not None and not short.tells and short.more_to_tell() is None


def test_of_the_same_times_no_number_of_frames_would_tell() -> None:
    found = difference([10.0] * 8, [10.0] * 8)
    assert found is not None
    assert (found.tells, found.p, found.more_to_tell()) == (False, 1.0, None)
