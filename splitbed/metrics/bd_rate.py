"""Bjøntegaard's delta rate: how much more a codec takes for the same quality.

G. Bjøntegaard, VCEG-M33 (2001), with the piecewise cubic interpolation (PCHIP) of the JCT-VC's
and JVET's common test conditions.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from splitbed.errors import RunError

Curve = Sequence[tuple[float, float]]
"""Points (rate, quality) in any order and any unit; more quality is better."""

MIN_POINTS = 4


def bd_rate(anchor: Curve, test: Curve) -> float:
    """How much more rate, in per cent, ``test`` takes than ``anchor`` on average; negative is less.

    The mean of the logarithm of the rate over the qualities that both curves reach.

    Raises:
        RunError: fewer than four points, a rate that is not positive, a number that is not
            finite, a curve whose quality does not rise with its rate (the points are named), or
            curves with no quality in common.
    """
    rising = [_rising(curve, name) for curve, name in ((anchor, "anchor"), (test, "test"))]
    low = max(curve[0][1] for curve in rising)
    high = min(curve[-1][1] for curve in rising)
    if low >= high:
        spans = " and ".join(f"{curve[0][1]:g} to {curve[-1][1]:g}" for curve in rising)
        raise RunError(
            f"no BD-rate: the qualities of anchor and test, {spans}, do not overlap; measure at"
            " other settings"
        )
    from scipy.interpolate import PchipInterpolator

    areas = []
    for curve in rising:
        rates, qualities = np.array(curve).T
        areas.append(PchipInterpolator(qualities, np.log(rates)).integrate(low, high))
    return float(np.expm1((areas[1] - areas[0]) / (high - low)) * 100)


def pareto(curve: Curve) -> list[tuple[float, float]]:
    """The points that are best at their rate, by rate: more quality than any of no more rate."""
    best: list[tuple[float, float]] = []
    for rate, quality in sorted(curve, key=lambda point: (point[0], -point[1])):
        if not best or quality > best[-1][1]:
            best.append((rate, quality))
    return best


def quality_overlap(anchor: Curve, test: Curve) -> float:
    """The fraction, 0 to 1, of all qualities that both curves reach; below 0.75 trust little."""
    spans = [[quality for _, quality in curve] for curve in (anchor, test)]
    common = min(map(max, spans)) - max(map(min, spans))
    whole = max(map(max, spans)) - min(map(min, spans))
    return max(common, 0.0) / whole if whole > 0 else 0.0


def _rising(curve: Curve, name: str) -> list[tuple[float, float]]:
    """The points by rate."""
    if len(curve) < MIN_POINTS:
        raise RunError(
            f"no BD-rate: the curve of the {name} has {len(curve)} points, {MIN_POINTS} are needed"
        )
    for rate, quality in curve:
        if not (rate > 0 and math.isfinite(rate) and math.isfinite(quality)):
            raise RunError(
                f"no BD-rate: the {name} has a point of rate {rate:g} and quality {quality:g}:"
                " rates are above 0, and both finite"
            )
    points = sorted(curve)
    for (rate, quality), (more, next_quality) in pairwise(points):
        if more <= rate or next_quality <= quality:
            raise RunError(
                f"no BD-rate: the curve of the {name} is not monotone: rate {rate:g} gives"
                f" quality {quality:g} and rate {more:g} gives {next_quality:g}"
            )
    return points
