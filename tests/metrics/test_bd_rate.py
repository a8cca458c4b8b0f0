"""Bjøntegaard's delta rate."""

from math import inf, nan

import pytest

from splitbed.errors import RunError
from splitbed.metrics.bd_rate import bd_rate, quality_overlap

# The example of github.com/FAU-LMS/bjontegaard (BSD-3-Clause), rates in kbit/s and PSNR in dB.
ANCHOR = [(9487.76, 40.037), (4593.60, 38.615), (2486.44, 36.845), (1358.24, 34.851)]
TEST = [(9787.80, 40.121), (4469.00, 38.651), (2451.52, 36.970), (1356.24, 34.987)]


@pytest.mark.parametrize("factor", [0.8, 1.0, 1.25, 30])
def test_a_curve_shifted_in_rate_differs_by_the_shift(factor: float) -> None:
    shifted = [(rate * factor, quality) for rate, quality in ANCHOR]
    assert bd_rate(ANCHOR, shifted) == pytest.approx(100 * (factor - 1), abs=1e-9)


def test_it_is_what_the_package_bjontegaard_computes() -> None:
    """Of version 1.3.0 with the method "pchip", which gives JVET's own figures."""
    assert bd_rate(ANCHOR, TEST) == pytest.approx(-4.417485350589, abs=1e-9)


def test_the_order_of_points_and_their_number_do_not_matter() -> None:
    more = [*TEST[::-1], (20000.0, 41.0)]
    assert bd_rate(ANCHOR[::-1], more) == pytest.approx(bd_rate(ANCHOR, [more[-1], *TEST]))


def test_only_qualities_that_both_reach_count() -> None:
    wider = [(100.0, 0.1), *((rate, quality) for rate, quality in ANCHOR), (99999.0, 50.0)]
    assert abs(bd_rate(ANCHOR, wider)) < 2
    assert quality_overlap(ANCHOR, wider) == pytest.approx((40.037 - 34.851) / 49.9)


@pytest.mark.parametrize(
    ("curve", "words"),
    [
        (TEST[:3], "the test has 3 points, 4 are needed"),
        ([*TEST[:3], (0.0, 34.0)], "rate 0 and quality 34"),
        ([*TEST[:3], (-5.0, 34.0)], "rate -5"),
        ([*TEST[:3], (1000.0, nan)], "quality nan"),
        ([*TEST[:3], (inf, 50.0)], "rate inf"),
        ([*TEST, (9000.0, 38.0)], "rate 4469 gives quality 38.651 and rate 9000 gives 38"),
        ([*TEST, (9900.0, 40.121)], "not monotone"),
        ([*TEST, (4469.0, 38.7)], "not monotone"),
        ([(rate, quality + 20) for rate, quality in TEST], "34.851 to 40.037 and 54.987 to 60.121"),
    ],
)
def test_curves_that_give_no_figure_are_refused_with_the_reason(
    curve: list[tuple[float, float]], words: str
) -> None:
    with pytest.raises(RunError, match=words):
        bd_rate(ANCHOR, curve)


def test_curves_that_share_nothing_overlap_by_0() -> None:
    assert quality_overlap(ANCHOR, [(1.0, 80.0), (2.0, 90.0)]) == 0
