"""Runs held against the first of them: what became faster, what slower, and what is noise.

Ratios are of median end-to-end times, with 95 % intervals of the bootstrap over raw samples. A cell
ends early once its last frames agree within 5 %: of so few frames, less than that is not told.
"""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.measure.limits import STABLE_SHARE
from orchestrator.results.facts import ModelFacts
from orchestrator.results.reading import GridPoint, Reading
from orchestrator.results.rows import Row
from orchestrator.results.statistics.intervals import Interval, median_interval, ratio_interval

MIN_CHANGE = 0.01
"""A smaller change of a median is noise, however sure …"""
MANY_FRAMES = 6
"""… and of fewer frames than these on either side, one below STABLE_SHARE."""

STAGES = ("part1", "encode", "uplink", "decode", "part2", "downlink")


@dataclass(frozen=True)
class Change:
    """One row in two runs; `ratio` is the second's median over the first's, `stage` what moved."""

    point: GridPoint
    base_ms: float
    base_interval: Interval
    other_ms: float
    other_interval: Interval
    ratio: float
    ratio_interval: Interval
    word: str
    stage: str

    def line(self) -> dict[str, object]:
        """As JSON has it."""
        point = self.point
        return {
            "split": point.split,
            "codec": point.codec,
            "link": point.link,
            "ue": point.ue,
            "a_ms": self.base_ms,
            "a_interval_ms": self.base_interval,
            "b_ms": self.other_ms,
            "b_interval_ms": self.other_interval,
            "ratio": self.ratio,
            "ratio_interval": self.ratio_interval,
            "word": self.word,
            "stage": self.stage,
        }


@dataclass(frozen=True)
class Comparison:
    """Two runs: rows in the order of the first, what only one has, and remarks on both."""

    base: str
    other: str
    changes: tuple[Change, ...]
    only: tuple[str, ...]
    remarks: tuple[str, ...]

    @property
    def overall(self) -> str:
        """The median of all ratios, in a sentence."""
        if not self.changes:
            return "the runs have no row in common"
        ratios = [change.ratio for change in self.changes]
        low, high = median_interval(ratios)
        counts = dict.fromkeys(("faster", "slower", "noise"), 0)
        for change in self.changes:
            counts[change.word] += 1
        words = ", ".join(f"{count} {word}" for word, count in counts.items())
        return (
            f"{words}; over all {len(ratios)} rows times are {statistics.median(ratios):.3f} "
            f"({low:.3f} to {high:.3f}) of the first's"
        )

    def record(self) -> dict[str, object]:
        """As JSON has it."""
        return {
            "a": self.base,
            "b": self.other,
            "remarks": self.remarks,
            "rows": [change.line() for change in self.changes],
            "only_in_one": self.only,
            "overall": self.overall,
        }


def compare(base: Reading, other: Reading) -> Comparison:
    """Every row that both runs measured."""
    mine, theirs = base.by_point, other.by_point
    both = [point for point in mine if base.e2e_ms[point] and other.e2e_ms.get(point)]
    told = [point for point in both if mine[point].valid and theirs[point].valid]
    changes = tuple(_change(point, base, other) for point in told)
    only = [f"not compared, INVALID in one: {point.words}" for point in both if point not in told]
    only += [f"only in {base.name}: {point.words}" for point in mine if point not in both]
    only += [f"only in {other.name}: {point.words}" for point in theirs if point not in both]
    return Comparison(base.name, other.name, changes, tuple(only), tuple(_remarks(base, other)))


def _change(point: GridPoint, base: Reading, other: Reading) -> Change:
    before, after = base.e2e_ms[point], other.e2e_ms[point]
    ratio = statistics.median(after) / statistics.median(before)
    interval = ratio_interval(before, after)
    few = min(len(before), len(after)) < MANY_FRAMES
    word = _word(ratio, interval, STABLE_SHARE if few else MIN_CHANGE)
    return Change(
        point,
        statistics.median(before),
        median_interval(before),
        statistics.median(after),
        median_interval(after),
        ratio,
        interval,
        word,
        "" if word == "noise" else _stage(base.by_point[point], other.by_point[point]),
    )


def _word(ratio: float, interval: Interval, least: float) -> str:
    low, high = interval
    if low <= 1 <= high or abs(ratio - 1) < least:
        return "noise"
    return "slower" if ratio > 1 else "faster"


def _stage(before: Row, after: Row) -> str:
    """The stage whose median changed most."""
    changes_ms = {}
    for stage in STAGES:
        first_ms, second_ms = (getattr(row, f"{stage}_ms") for row in (before, after))
        # of two machines, one-way times may not be known
        if first_ms is not None and second_ms is not None:
            changes_ms[stage] = second_ms - first_ms
    if not changes_ms:
        return ""
    stage = max(changes_ms, key=lambda name: abs(changes_ms[name]))
    return f"{stage} {changes_ms[stage]:+.1f} ms"


def _remarks(base: Reading, other: Reading) -> list[str]:
    """What makes the two runs other measurements than of the same thing."""
    first, second = base.run.model, other.run.model
    remarks = [*base.notes, *other.notes]
    if first.sha256 != second.sha256:
        remarks.append(f"the models differ: {_model(first)} and {_model(second)}")
    if _inputs(first) != _inputs(second):
        remarks.append("the inputs differ")
    for reading in (base, other):
        if reading.run.verdict != "VALID":
            verdict = reading.run.verdict or "not ended"
            remarks.append(f"{reading.name} is {verdict}: see its run.json")
    return remarks + _machines(base, other)


def _machines(base: Reading, other: Reading) -> list[str]:
    before, after = base.run.conditions, other.run.conditions
    remarks = []
    for name, one, another in (("ue", before.ue, after.ue), ("edge", before.edge, after.edge)):
        if one.cpu != another.cpu:
            remarks.append(f"the {name} is another machine: {one.cpu} and {another.cpu}")
    for name in ("git_commit", "python", "kernel", "link_backend"):
        if getattr(before, name) != getattr(after, name):
            remarks.append(f"{name} differs: {getattr(before, name)} and {getattr(after, name)}")
    return remarks


def _model(model: ModelFacts) -> str:
    return f"{model.name}, {model.weights}"


def _inputs(model: ModelFacts) -> list[object]:
    return [one.sha256 or one for one in model.inputs]


def lines(comparison: Comparison) -> Sequence[dict[str, object]]:
    """A table: times with intervals, in milliseconds."""
    return [
        {
            "split": change.point.split,
            "codec": change.point.codec,
            "link": change.point.link,
            "UE": change.point.ue,
            "A ms": _with_interval(change.base_ms, change.base_interval),
            "B ms": _with_interval(change.other_ms, change.other_interval),
            "B/A": f"{change.ratio:.3f} ({change.ratio_interval[0]:.3f}–"
            f"{change.ratio_interval[1]:.3f})",
            "verdict": change.word,
            "most of it": change.stage,
        }
        for change in comparison.changes
    ]


def _with_interval(ms: float, interval: Interval) -> str:
    return f"{ms:.1f} ({interval[0]:.1f}–{interval[1]:.1f})"
