"""BD-rates of curves against some of them, each with an interval, and whether it is shown.

The interval is over videos, each left out once, or over pictures drawn again: what the same curves
come to by those alone. A BD-rate whose interval has 0 in it shows no difference, and one without
an interval might be chance.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from orchestrator.offline.curves import Anchor, curve_of
from orchestrator.offline.pool import Pool
from orchestrator.offline.rd import RatePoint
from orchestrator.reports.terminal import Line
from splitbed.errors import RunError
from splitbed.metrics.bd_rate import MIN_POINTS, Curve, bd_rate, pareto, quality_overlap
from splitbed.metrics.resampling import OUTSIDE_PCT

BD_COLUMNS = (
    "curve", "anchor", "points", "pareto", "videos", "bd_rate_pct", "bd_rate_low_pct",
    "bd_rate_high_pct", "interval", "shown", "quality_overlap", "reason",
)  # fmt: skip
MIN_SHARE = 0.9
"""Of resamples of pictures, so many must have a BD-rate for an interval."""


@dataclass(frozen=True)
class Against:
    """How curves are compared: by all their points, or by the best at their rate alone."""

    anchor: str | None
    pareto: bool = False

    def rate(self, anchor: Curve, test: Curve) -> float:
        """The BD-rate; RunError where there is none."""
        return bd_rate(*map(self.points, (anchor, test)))

    def points(self, curve: Curve) -> list[tuple[float, float]]:
        """Those of a curve that count."""
        return pareto(curve) if self.pareto else list(curve)


def best_anchor(points: Sequence[RatePoint], most_drop: float) -> list[Anchor]:
    """The network anchor's curve of the fewest bits at a drop of no more than that.

    The first, where none loses so little; nothing where no codec of the input has several points.
    """
    curves: dict[str, list[RatePoint]] = {}
    for point in (one for one in points if one.configuration.k == 0 and not one.error):
        curves.setdefault(curve_of(point.configuration), []).append(point)

    def least(curve: str) -> float:
        near = (one for one in curves[curve] if one.drop is not None and one.drop <= most_drop)
        return min((one.kbit_per_frame for one in near), default=math.inf)

    names = [name for name, held in curves.items() if held[1:]]
    return [Anchor(min(names, key=least))] if names else []


def bd_rows(
    points: Sequence[RatePoint],
    anchors: Sequence[Anchor],
    pool: Pool | None = None,
    *,
    best: bool = False,
) -> list[Line]:
    """A row with :data:`BD_COLUMNS` for each anchor and each curve that is held against it.

    Intervals are of the resamples of ``pool``; ``best`` is whether only Pareto points count.
    """
    curves: dict[str, list[RatePoint]] = {}
    for point in points:
        if point.crosses:
            curve = curves.setdefault(curve_of(point.configuration), [])
            if point.value is not None and not point.error:
                curve.append(point)
    if not anchors:
        return [_row(name, curve, (), Against(None, best), pool) for name, curve in curves.items()]
    return [
        _row(name, curve, curves[anchor.curve], Against(anchor.curve, best), pool)
        for anchor in anchors
        for name, curve in curves.items()
        if anchor.bears(name)
    ]


def _row(
    name: str,
    test: Sequence[RatePoint],
    against: Sequence[RatePoint],
    asked: Against,
    pool: Pool | None,
) -> Line:
    curve, other = asked.points(_curve(test)), asked.points(_curve(against))
    row: Line = dict.fromkeys(BD_COLUMNS)
    row |= {"curve": name, "anchor": asked.anchor or "", "points": len(curve), "reason": ""}
    row |= {"pareto": asked.pareto, "videos": len(pool.frames) if pool else 1, "shown": False}
    if asked.anchor is None:
        why = (
            "no BD-rate: there is no anchor; give --input-codecs one with a ladder, such as jpeg,"
            " or --anchor one of these curves"
        )
        return row | {"reason": why}
    if len(curve) < MIN_POINTS:
        why = f"no BD-rate: the curve has too few points, {len(curve)}: {MIN_POINTS} are needed"
        return row | {"reason": why}
    if other:
        row["quality_overlap"] = quality_overlap(other, curve)
    try:
        row["bd_rate_pct"] = bd_rate(other, curve)
        low, high = _interval(against, test, asked, pool)
    except RunError as error:
        return row | {"reason": str(error)}
    row |= {"bd_rate_low_pct": low, "bd_rate_high_pct": high}
    row |= {"interval": pool.resamples_words if pool else "", "shown": low > 0 or high < 0}
    return row if row["shown"] else row | {"reason": "not shown: the interval has 0 in it"}


def _curve(points: Sequence[RatePoint]) -> list[tuple[float, float]]:
    return [(point.kbit_per_frame, point.value) for point in points if point.value is not None]


def _interval(
    against: Sequence[RatePoint], test: Sequence[RatePoint], asked: Against, pool: Pool | None
) -> tuple[float, float]:
    """The least and the most that leaving out a video makes of it, or the middle of resamples.

    Raises RunError where it cannot be had.
    """
    if pool is None or not all(point.again for point in (*against, *test)):
        raise RunError("not shown: no interval, of so few pictures")
    anchors, tests = (
        zip(*(point.again for point in some), strict=True) for some in (against, test)
    )
    rates, why = [], ""
    for pair in zip(anchors, tests, strict=True):
        try:
            rates.append(asked.rate(*pair))
        except RunError as error:
            why = why or str(error)
    count = len(test[0].again)
    if len(rates) < (1 if pool.by_video else MIN_SHARE) * count:
        raise RunError(
            f"not shown: no interval, as {count - len(rates)} of {count} resamples have {why}"
        )
    low, high = (0, 100) if pool.by_video else OUTSIDE_PCT
    return float(np.percentile(rates, low)), float(np.percentile(rates, high))


def told(row: Line) -> Line:
    """A row for a terminal."""
    rate, common, low = row["bd_rate_pct"], row["quality_overlap"], row["bd_rate_low_pct"]
    heading = f"BD-rate against {row['anchor']}" if row["anchor"] else "BD-rate"
    heading += ", by Pareto points" if row["pareto"] else ""
    words = [f"{rate:+.1f} %"] if isinstance(rate, float) else []
    if isinstance(low, float):
        words += [f"({low:+.1f} to {row['bd_rate_high_pct']:+.1f}, {row['interval']})"]
    words += [str(row["reason"])] if row["reason"] else []
    return {
        "curve": row["curve"],
        heading: " ".join(words),
        # little in common is little to trust
        "accuracies in common": f"{common:.0%}" if isinstance(common, float) else "",
    }
