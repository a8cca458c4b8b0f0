"""Runs held against the first of them: what became faster, what slower, and what is noise.

Ratios are of median end-to-end times, with 95 % intervals of the bootstrap over raw samples. A cell
ends early once its last frames agree within 5 %: of so few frames, less than that is not told.
"""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.measure.limits import STABLE_SHARE
from orchestrator.results.intervals import Interval, median_interval, ratio_interval
from orchestrator.results.reading import Point, Reading
from orchestrator.results.rows import Row, number

MIN_CHANGE = 0.01
"""A smaller change of a median is noise, however sure …"""
MANY_FRAMES = 6
"""… and of fewer frames than these on either side, one below STABLE_SHARE."""

STAGES = ("part1", "encode", "uplink", "decode", "part2", "downlink")


@dataclass(frozen=True)
class Change:
    """One row in two runs; `ratio` is the second's median over the first's, `stage` what moved."""

    point: Point
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
    both = [point for point in base.rows if base.e2e_ms[point] and other.e2e_ms.get(point)]
    told = [point for point in both if base.rows[point]["valid"] and other.rows[point]["valid"]]
    changes = tuple(_change(point, base, other) for point in told)
    only = [f"not compared, INVALID in one: {point.words}" for point in both if point not in told]
    only += [f"only in {base.name}: {point.words}" for point in base.rows if point not in both]
    only += [f"only in {other.name}: {point.words}" for point in other.rows if point not in both]
    return Comparison(base.name, other.name, changes, tuple(only), tuple(_remarks(base, other)))


def _change(point: Point, base: Reading, other: Reading) -> Change:
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
        "" if word == "noise" else _stage(base.rows[point], other.rows[point]),
    )


def _word(ratio: float, interval: Interval, least: float) -> str:
    low, high = interval
    if low <= 1 <= high or abs(ratio - 1) < least:
        return "noise"
    return "slower" if ratio > 1 else "faster"


def _stage(before: Row, after: Row) -> str:
    """The stage whose median changed most."""
    changes_ms = {
        stage: number(after, f"{stage}_ms") - number(before, f"{stage}_ms")
        for stage in STAGES
        # of two machines, one-way times may not be known
        if all(isinstance(row.get(f"{stage}_ms"), float) for row in (before, after))
    }
    if not changes_ms:
        return ""
    stage = max(changes_ms, key=lambda name: abs(changes_ms[name]))
    return f"{stage} {changes_ms[stage]:+.1f} ms"


def _remarks(base: Reading, other: Reading) -> list[str]:
    """What makes the two runs other measurements than of the same thing."""
    first, second = (reading.run.get("model") or {} for reading in (base, other))
    remarks = [*base.notes, *other.notes]
    if first.get("sha256") != second.get("sha256"):
        remarks.append(f"the models differ: {_model(first)} and {_model(second)}")
    if _inputs(first) != _inputs(second):
        remarks.append("the inputs differ")
    for reading in (base, other):
        if reading.run.get("verdict") != "VALID":
            verdict = reading.run.get("verdict", "not ended")
            remarks.append(f"{reading.name} is {verdict}: see its run.json")
    return remarks + _machines(base, other)


def _machines(base: Reading, other: Reading) -> list[str]:
    before, after = (reading.run.get("conditions") or {} for reading in (base, other))
    remarks = []
    for name in ("ue", "edge"):
        cpus = [(facts.get(name) or {}).get("cpu") for facts in (before, after)]
        if cpus[0] != cpus[1]:
            remarks.append(f"the {name} is another machine: {cpus[0]} and {cpus[1]}")
    for name in ("git_commit", "python", "kernel", "link_backend"):
        if before.get(name) != after.get(name):
            remarks.append(f"{name} differs: {before.get(name)} and {after.get(name)}")
    return remarks


def _model(model: dict[str, object]) -> str:
    return f"{model.get('name')}, {model.get('weights')}"


def _inputs(model: dict[str, object]) -> list[object]:
    inputs = model.get("inputs")
    return [one.get("sha256", one) for one in inputs] if isinstance(inputs, list) else []


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
