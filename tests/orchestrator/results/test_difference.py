"""What two samples' pairs come to, number by number: by hand, and as scipy has it."""

import math
from dataclasses import FrozenInstanceError
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest

from orchestrator.results.statistics.comparison import (
    CELL_SHARE,
    DEPENDENT,
    MAX_MORE,
    Difference,
    difference,
    holm,
    student,
)

LOGS = np.array([0.01, 0.03, 0.02, 0.05, -0.01])
NORMAL = NormalDist()
Z = NORMAL.inv_cdf(0.975)


def found(logs: Any, **how: Any) -> Difference:
    """Of pairs whose ratios have these logs."""
    told = difference([100.0] * len(logs), (100 * np.exp(logs)).tolist(), **{"cell_ms": 0.0} | how)
    assert told is not None
    return told


def one(**changed: Any) -> Difference:
    values = {"ratio": 1.1, "low": 1.05, "high": 1.2, "pairs": 10, "p": 0.01, "spread": 0.1}
    return Difference(**values | changed)


def test_a_frame_follows_the_one_before_in_three_tenths() -> None:
    assert pytest.approx(13 / 7) == DEPENDENT**2


@pytest.mark.parametrize("wider", [1.0, 2.0])
def test_students_interval_is_scipys_with_a_wider_error(wider: float) -> None:
    from scipy.stats import ttest_1samp

    p, low, high = student(LOGS, wider)
    ends = ttest_1samp(LOGS, 0).confidence_interval(0.95)
    middle, half = LOGS.mean(), wider * (ends.high - ends.low) / 2
    assert (low, high) == pytest.approx((middle - half, middle + half))
    stretched = LOGS.mean() + wider * (LOGS - LOGS.mean())
    assert p == pytest.approx(ttest_1samp(stretched, 0).pvalue)


def test_logs_that_are_all_the_same_are_without_a_doubt() -> None:
    assert student(np.full(4, 0.0)) == (1.0, 0.0, 0.0)
    assert student(np.full(4, 0.25)) == (0.0, 0.25, 0.25)


@pytest.mark.parametrize(("of", "wider"), [("frame", DEPENDENT), ("block", 1.0)])
def test_few_pairs_are_told_by_student(of: str, wider: float) -> None:
    told = found(LOGS, of=of, besides=0.0)
    p, low, high = student(LOGS, wider)
    assert (told.p, told.low, told.high) == pytest.approx((p, math.exp(low), math.exp(high)))
    assert told.ratio == pytest.approx(math.exp(0.02))
    assert told.spread == pytest.approx(LOGS.std(ddof=1))
    assert (told.pairs, told.of, told.by) == (5, of, "Student's t of 5 pairs")


@pytest.mark.parametrize(("of", "wider"), [("frame", DEPENDENT), ("block", 1.0)])
def test_from_6_pairs_on_it_is_the_medians_interval(of: str, wider: float) -> None:
    logs = np.array([0.01, 0.02, 0.03, 0.05, 0.08, 0.2])
    told = found(logs, of=of, besides=0.0)
    assert told.ratio == pytest.approx(math.exp(0.04))
    ends = [0.04 + wider * (end - 0.04) for end in (0.01, 0.2)]
    assert (told.low, told.high) == pytest.approx(tuple(map(math.exp, ends)))
    assert told.p == pytest.approx(student(logs, wider)[0])
    assert (told.pairs, told.by) == (6, "sign test")


def test_from_24_pairs_on_p_is_the_sign_tests() -> None:
    from scipy.stats import binomtest

    logs = np.array([0.01] * 19 + [-0.02] * 4 + [0.0])
    told = found(logs, of="block")
    assert told.p == pytest.approx(binomtest(4, 23).pvalue)
    assert found(-logs, of="block").p == pytest.approx(told.p)
    fewer = found(logs[1:], of="block")
    assert fewer.p == pytest.approx(student(logs[1:])[0])
    # as many as would be independent: 19 / (13 / 7) and 4 / (13 / 7), rounded down
    assert found(logs, besides=0.0).p == pytest.approx(binomtest(2, 12).pvalue)
    assert found([0.01, -0.01] * 12, of="block").p == 1.0


def test_cells_differ_besides_however_many_frames_agree() -> None:
    told = found([0.004] * 8)
    reach = Z * CELL_SHARE
    assert (told.low, told.high) == pytest.approx(
        (math.exp(0.004 - reach), math.exp(0.004 + reach))
    )
    assert told.p == pytest.approx(2 * NORMAL.cdf(-0.8))
    assert (told.besides, told.tells) == (0.005, False)
    own = found([0.004] * 8, besides=0.001)
    assert (own.low, own.high) == pytest.approx(
        (math.exp(0.004 - Z / 1e3), math.exp(0.004 + Z / 1e3))
    )
    blocks = found([0.004] * 8, of="block")
    assert (blocks.low, blocks.high) == pytest.approx((math.exp(0.004),) * 2)
    assert (blocks.besides, blocks.tells) == (0.0, True)
    short = found([0.004] * 8, besides=0.0, cell_ms=1.0)  # 1 ms of 100, and of 100.4
    assert short.besides == pytest.approx(0.01 * math.hypot(1, 1 / 1.004), rel=1e-3)
    assert found([0.004] * 8, of="block", cell_ms=1.0).besides == 0.0
    wide = found(LOGS)  # what frames do not agree on is more
    assert (wide.low, wide.high) == (found(LOGS, besides=0.0).low, found(LOGS, besides=0.0).high)
    assert wide.p == pytest.approx(student(LOGS, DEPENDENT)[0])


def test_what_is_asked_may_be_another_ratio_than_1() -> None:
    told, against = found(LOGS), found(LOGS + math.log(2), against=2.0)
    assert (against.low, against.high) == pytest.approx((2 * told.low, 2 * told.high))
    assert against.ratio == pytest.approx(2 * told.ratio)
    assert (against.p, against.spread) == pytest.approx((told.p, told.spread))
    assert against.against == 2


def test_as_many_pairs_count_as_both_have_and_two_are_the_least() -> None:
    told = difference([100.0, 100.0, 7.0], [110.0, 121.0])
    assert told is not None
    assert told.pairs == 2
    assert told.ratio == pytest.approx(1.1**1.5)
    assert difference([100.0], [110.0, 121.0]) is None


@pytest.mark.parametrize(
    ("low", "high", "tells"),
    [
        (1.0, 1.2, False),
        (1.001, 1.2, True),
        (0.8, 1.0, False),
        (0.8, 0.999, True),
        (0.9, 1.1, False),
    ],
)
def test_an_interval_tells_where_it_excludes_what_was_asked(
    low: float, high: float, tells: bool
) -> None:
    assert one(low=low, high=high).tells is tells
    assert one(low=2 * low, high=2 * high, against=2.0).tells is tells


def test_another_measure_of_the_ratio_is_in_the_interval() -> None:
    assert one().around(1.1) == (1.05, 1.2)
    assert one().around(1.0) == (1.0, 1.2)
    assert one().around(1.3) == (1.05, 1.3)


def needed(ratio: float, spread: float, wider: float, level: float = 0.05) -> float:
    """Pairs, by the formula that the docstring has."""
    z = NORMAL.inv_cdf(1 - level / 2) + NORMAL.inv_cdf(0.8)
    return float((z * wider * math.sqrt(math.pi / 2) * spread / math.log(ratio)) ** 2)


@pytest.mark.parametrize(("of", "wider"), [("frame", DEPENDENT), ("block", 1.0)])
@pytest.mark.parametrize("level", [0.05, 0.01])
def test_how_many_pairs_more_would_tell(of: Any, wider: float, level: float) -> None:
    pairs = math.ceil(needed(1.1, 0.2, wider, level))
    assert one(spread=0.2, of=of).more_to_tell(level) == pairs - 10
    assert one(spread=0.2, of=of, ratio=1 / 1.1).more_to_tell(level) == pairs - 10
    assert one(spread=0.2, of=of, ratio=2.2, against=2.0).more_to_tell(level) == pairs - 10


def test_of_few_pairs_as_many_as_a_sign_test_takes_and_one_more_at_least() -> None:
    assert one(spread=0.0, pairs=2).more_to_tell() == 4
    assert one(spread=0.0, pairs=10).more_to_tell() == 1


def test_what_cells_differ_by_no_number_of_frames_tells() -> None:
    edge = Z * CELL_SHARE
    assert one(ratio=math.exp(edge - 1e-6), spread=0.01).more_to_tell() is None
    assert one(ratio=math.exp(edge + 1e-6), spread=0.01).more_to_tell() is not None
    assert one(ratio=1.0, besides=0.0).more_to_tell() is None
    z = NORMAL.inv_cdf(0.995)
    assert one(ratio=math.exp(z * CELL_SHARE - 1e-6)).more_to_tell(0.01) is None
    assert one(ratio=math.exp(z * CELL_SHARE + 1e-6), spread=0.01).more_to_tell(0.01) is not None


@pytest.mark.parametrize(("more", "told"), [(MAX_MORE, MAX_MORE), (MAX_MORE + 1, None)])
def test_more_than_ten_thousand_are_not_asked_for(more: int, told: int | None) -> None:
    spread = math.sqrt((10 + more - 0.5) / needed(1.1, 1.0, DEPENDENT))
    assert one(spread=spread).more_to_tell() == told


def test_a_difference_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        one().p = 1.0  # type: ignore[misc]


def test_holm_corrects_the_least_most() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.3, 0.4]) == pytest.approx([0.6, 0.6])  # none before one that is less
    assert holm([0.9, 0.6, 1.0]) == [1.0, 1.0, 1.0]
    assert holm([0.02]) == [0.02]
    assert holm([]) == []


@pytest.mark.parametrize(
    ("small_ms", "big_ms", "low", "tells"),
    [
        (0.2, 52.0, (52 - 1.386) / (0.2 + 1.386), True),  # with 1 ms more it is still the faster
        (0.2, 2.9, None, False),
        (0.2, 3.1, None, True),
        (0.2, 1.3, None, False),  # less than cells differ by
    ],
)
def test_what_takes_less_than_cells_differ_by_is_told_from_what_takes_far_more(
    small_ms: float, big_ms: float, low: float | None, tells: bool
) -> None:
    there = difference([small_ms] * 6, [big_ms] * 6)
    back = difference([big_ms] * 6, [small_ms] * 6)
    assert there is not None and back is not None
    assert there.tells is back.tells is tells
    assert (there.p <= 0.05) is tells
    assert back.high == pytest.approx(1 / there.low)
    if low is not None:
        assert there.low == pytest.approx(low, rel=0.01)
