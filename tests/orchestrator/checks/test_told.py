"""Each limit that a change of a row has to pass, from just inside and just outside."""

import math

import pytest

from orchestrator.checks import told
from orchestrator.checks.told import MAX_SCATTER, MAX_SHIFT, MIN_CHANGE, shifted, told_apart

FRAMES, MS = 30, 10_000.0
"""Of which a millisecond, by which cells differ besides, is nothing."""


def rows(*ratios: float, frames: int = FRAMES) -> list[tuple[list[float], list[float]]]:
    """Rows whose frames all take so many times as long in B."""
    return [([MS] * frames, [MS * ratio] * frames) for ratio in ratios]


@pytest.mark.parametrize(
    ("ratio", "word"),
    [
        (1 + MIN_CHANGE + 1e-4, "slower"),
        (1 + MIN_CHANGE - 1e-4, "noise"),
        (1 / (1 + MIN_CHANGE + 1e-4), "faster"),
        (1 / (1 + MIN_CHANGE - 1e-4), "noise"),
    ],
)
def test_a_change_of_one_per_cent_is_told_where_rows_do_not_scatter(
    ratio: float, word: str
) -> None:
    first, *others = told_apart(rows(ratio, *[1.0] * 9))
    assert first.word == word
    assert {one.word for one in others} == {"noise"}


@pytest.mark.parametrize(
    ("scatter", "ratio", "word"),
    [
        (0.01, 1.032, "slower"),
        (0.01, 1.028, "noise"),
        (0.1, 1 + MAX_SCATTER + 2e-3, "slower"),  # no more than that is asked of any row
        (0.1, 1 + MAX_SCATTER - 2e-3, "noise"),
    ],
)
def test_a_change_is_told_beyond_three_times_what_rows_scatter(
    scatter: float, ratio: float, word: str
) -> None:
    spread = [math.exp(scatter / 1.4826 * step) for step in (-1, 1) * 10]
    assert told_apart(rows(ratio, 1.0, 1.0, *spread))[0].word == word


@pytest.mark.parametrize(
    ("frames", "ratio", "word"),
    [(5, 1.049, "noise"), (5, 1.052, "slower"), (6, 1.049, "slower"), (2, 1.2, "noise")],
)
def test_of_fewer_frames_than_6_only_a_large_change_is_told(
    frames: int, ratio: float, word: str
) -> None:
    """And of 2 that agree, none: cells differ by more."""
    found = told_apart(rows(ratio, *[1.0] * 9, frames=frames))[0]
    if frames > 2:
        assert found.word == word


@pytest.mark.parametrize(
    ("shift", "ratio", "word"),
    [
        (1.02, 1.02, "noise"),  # what all rows share
        (1.02, 1.05, "slower"),
        (1.02, 1.0, "noise"),  # what only resists it
        (1 + MAX_SHIFT, 1 + MAX_SHIFT + 0.005, "noise"),
        (1.1, 1.1, "slower"),  # runs do not shift so far
        (0.9, 0.9, "faster"),
        (1 / (1 + MAX_SHIFT), 1 / (1 + MAX_SHIFT), "noise"),
    ],
)
def test_what_all_rows_share_is_told_of_none_up_to_three_per_cent(
    shift: float, ratio: float, word: str
) -> None:
    assert told_apart(rows(ratio, *[shift] * 9))[0].word == word


FEW, LATER = [10_000.0, 12_000, 11_000, 9_000], [13_000.0, 11_800, 14_000, 10_500]


def test_a_large_change_that_frames_do_not_tell_says_how_many_more_would() -> None:
    first, *_ = told_apart([(FEW, LATER), *rows(*[1.0] * 9)])
    assert (first.word, first.more is None) == ("noise", False)
    assert all(one.more is None for one in told_apart(rows(1.005, *[1.0] * 9)))


def test_one_frame_tells_nothing() -> None:
    (found,) = told_apart([([100.0], [200.0])])
    assert (found.word, found.difference, found.more) == ("noise", None, None)


@pytest.mark.parametrize(
    ("logs", "shift", "scatter"),
    [
        ([], 0.0, 0.0),
        ([0.1], 0.1, 0.0),
        ([0.0, 0.1, 0.3], 0.1, 1.4826 * 0.1),
    ],
)
def test_shift_and_scatter_are_medians(logs: list[float], shift: float, scatter: float) -> None:
    assert shifted(logs) == pytest.approx((shift, scatter))


def noisy(middle: float, spread: float, frames: int = 8) -> tuple[list[float], list[float]]:
    """A row whose frames' log ratios lie around a middle, none of them twice."""
    steps = (-1, 1, -0.5, 0.5, -0.8, 0.8, -0.3, 0.3, -0.1, 0.1)[:frames]
    return [MS] * frames, [MS * math.exp(middle + spread * step) for step in steps]


@pytest.mark.parametrize(("others", "word"), [(7, "slower"), (8, "noise")])
def test_the_more_rows_are_compared_the_surer_a_change_has_to_be(others: int, word: str) -> None:
    """Its p is 0.0056 alone: eight times that is less than 0.05, nine times is more."""
    first, *_ = told_apart([noisy(0.2, 0.14), *rows(*[1.0] * others)])
    assert first.word == word
    if word == "noise":
        assert first.difference is not None
        assert first.more == first.difference.more_to_tell(0.05 / 9) is not None


def test_a_row_that_cannot_be_compared_counts_among_them_all_the_same() -> None:
    alone = ([MS], [MS])
    assert told_apart([noisy(0.2, 0.14), alone, *rows(*[1.0] * 7)])[0].word == "noise"


@pytest.mark.parametrize("sign", [1, -1])
def test_an_interval_that_holds_no_change_tells_none_however_small_its_p(sign: int) -> None:
    logs = [sign * log for log in (-0.2, -0.21, -0.19, -0.2, -0.22, -0.18, 0.03)]
    outlier = [MS] * len(logs), [MS * math.exp(log) for log in logs]
    first, *_ = told_apart([outlier, *rows(*[1.0] * 19)])
    assert first.difference is not None
    assert first.difference.p * 20 < 0.5
    assert (first.word, first.more is None) == ("noise", False)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_row_against_the_shift_has_to_exclude_that_it_is_as_it_was_too(sign: int) -> None:
    """It changed beside the others, which all went the other way, and may be as it was."""
    shift = math.exp(-0.03 * sign)
    for spread, word in ((0.06, "noise"), (0.04, "slower" if sign > 0 else "faster")):
        first, *_ = told_apart([noisy(0.06 * sign, spread, 10), *rows(*[shift] * 19)])
        assert first.word == word


@pytest.mark.parametrize("sign", [1, -1])
def test_a_row_that_resists_the_shift_is_not_even_nearly_told(sign: int) -> None:
    resisting = rows(math.exp(0.012 * sign))
    first, *_ = told_apart([*resisting, *rows(*[math.exp(0.03 * sign)] * 19)])
    assert (first.word, first.more) == ("noise", None)


def test_of_five_blocks_a_smaller_change_is_told_than_of_five_frames() -> None:
    a, b = rows(1.02, frames=5)[0]
    others = rows(*[1.0] * 9)
    assert told_apart([(a, b, "block"), *others])[0].word == "slower"
    assert told_apart([(a, b), *others])[0].word == "noise"


def test_a_p_of_just_the_limit_is_small_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    (found,) = told_apart([noisy(0.2, 0.1)])
    assert found.difference is not None
    for limit, word in ((found.difference.p, "slower"), (0.99 * found.difference.p, "noise")):
        monkeypatch.setattr(told, "MAX_P", limit)
        assert told_apart([noisy(0.2, 0.1)])[0].word == word
