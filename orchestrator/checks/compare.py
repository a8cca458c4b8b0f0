"""Runs held against the first of them: what became faster, what slower, and what is noise.

Shift and scatter of all rows are told on their own, a row by :mod:`orchestrator.checks.told`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from orchestrator.checks.told import MAX_SHIFT, Told, shifted, told_apart
from orchestrator.results.columns.flow import stages_of
from orchestrator.results.facts import ModelFacts
from orchestrator.results.reading import GridPoint, Reading
from orchestrator.results.rows import Row, known, known_interval
from orchestrator.results.statistics.blocks import beside
from orchestrator.results.statistics.intervals import Interval

WORDS = ("faster", "slower", "noise", "disturbed")
"""The last is of a row that would be faster or slower, had its machine done nothing else."""


@dataclass(frozen=True)
class Change:
    """One row in two runs; `ratio` is the second's median over the first's, `stage` what moved."""

    point: GridPoint
    base_ms: float
    base_interval: Interval
    other_ms: float
    other_interval: Interval
    told: Told
    stage: str

    @property
    def word(self) -> str:
        """One of WORDS."""
        return self.told.word

    @property
    def ratio(self) -> float:
        """Of the medians."""
        return self.other_ms / self.base_ms

    @property
    def ratio_interval(self) -> tuple[float, float] | None:
        """Over the pairs of frames; None for a single frame."""
        found = self.told.difference
        return found.around(self.ratio) if found else None

    def line(self) -> dict[str, object]:
        """As JSON has it."""
        point = self.point
        return {
            "split": point.split,
            "codec": point.codec,
            "link": point.link,
            "ue": point.ue,
            "load": point.load,
            "a_ms": self.base_ms,
            **_as_told("a", self.base_interval),
            "b_ms": self.other_ms,
            **_as_told("b", self.other_interval),
            "ratio": self.ratio,
            "ratio_interval": self.ratio_interval,
            "word": self.word,
            "frames_to_tell": self.told.more,
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
        counts = {word: sum(one.word == word for one in self.changes) for word in WORDS}
        words = ", ".join(f"{n} {word}" for word, n in counts.items() if n or word != "disturbed")
        shift, scatter = (100 * math.expm1(log) for log in _shift(self.changes))
        return (
            f"{words}; of all {len(self.changes)} rows the median is {abs(shift):.1f} % "
            f"{'slower' if shift > 0 else 'faster'} in B, around which they scatter by "
            f"{scatter:.1f} %: runs of the same thing shift, too, and up to {100 * MAX_SHIFT:g} % "
            f"of that is told of no row{self._of_noise}{self._of_frames}"
        )

    @property
    def _of_noise(self) -> str:
        """Why rows are noise whose interval alone would tell a change."""
        found = [c for c in self.changes if c.word == "noise" and c.told.difference]
        beyond = sum(
            not low <= 1 <= high for c in found for low, high in [c.ratio_interval or (1, 1)]
        )
        if not beyond:
            return ""
        return (
            f". The intervals of {beyond} in noise exclude 1: told is only what is sure among all "
            "rows (Holm), not shared by them, and large beside how they scatter"
        )

    @property
    def _of_frames(self) -> str:
        """What to know of rows that are not of several blocks."""
        found = [change.told.difference for change in self.changes]
        if not any(one and one.of == "frame" for one in found):
            return ""
        return (
            ". Frames are of one run each, and runs differ by more than their frames do: a change "
            "that matters is measured again, with --blocks 5"
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
    both = [p for p in mine if p in theirs and mine[p].samples_ms and theirs[p].samples_ms]
    lasted = [p for p in both if _lasts(mine[p]) and _lasts(theirs[p])]
    told = [point for point in lasted if mine[point].valid and theirs[point].valid]
    words = told_apart([beside(mine[point], theirs[point]) for point in told])
    changes = tuple(_change(p, base, other, w) for p, w in zip(told, words, strict=True))
    only = [f"not compared, INVALID in one: {point.words}" for point in lasted if point not in told]
    for reading, rows in ((base, mine), (other, theirs)):
        grew = [point for point in both if not _lasts(rows[point])]
        only += [f"not compared, not sustained in {reading.name}: {one.words}" for one in grew]
    for reading, points, others in ((base, mine, theirs), (other, theirs, mine)):
        alone = [p for p in points if p not in others or (points[p].samples_ms and p not in both)]
        only += [f"only in {reading.name}: {point.words}" for point in alone]
    failed = [p for p in mine if p in theirs and not (mine[p].samples_ms or theirs[p].samples_ms)]
    only += [f"without a frame in both: {point.words}" for point in failed]
    return Comparison(base.name, other.name, changes, tuple(only), tuple(_remarks(base, other)))


def _lasts(row: Row) -> bool:
    """Whether its load was sustained, if it had one: else times tell how long one watched."""
    return row.sustained is not False


def _shift(changes: Sequence[Change]) -> tuple[float, float]:
    return shifted([math.log(change.ratio) for change in changes])


def _change(point: GridPoint, base: Reading, other: Reading, told: Told) -> Change:
    before, after = base.by_point[point], other.by_point[point]
    if told.word != "noise" and (before.disturbed or after.disturbed):
        told = replace(told, word="disturbed")
    return Change(
        point,
        known(before.e2e_ms),
        known_interval(before),
        known(after.e2e_ms),
        known_interval(after),
        told,
        "" if told.word == "noise" else _stage(before, after),
    )


def _stage(before: Row, after: Row) -> str:
    """The stage whose median changed most."""
    changes_ms = {}
    for stage in stages_of(before.flow):
        first_ms, second_ms = (row.value(f"{stage}_ms") for row in (before, after))
        # of two machines, one-way times may not be known
        if isinstance(first_ms, int | float) and isinstance(second_ms, int | float):
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
        if count := sum(bool(row.disturbed) for row in reading.rows):
            remarks.append(
                f"{count} of {len(reading.rows)} rows of {reading.name} were disturbed: what they "
                "took is the machine's as well"
            )
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
    loaded = any(change.point.load for change in comparison.changes)
    return [
        {
            "split": change.point.split,
            "codec": change.point.codec,
            "link": change.point.link,
            "UE": change.point.ue,
            **({"load": change.point.load} if loaded else {}),
            "A ms": _with_interval(change.base_ms, change.base_interval),
            "B ms": _with_interval(change.other_ms, change.other_interval),
            "B/A": _ratio(change),
            "verdict": change.word,
            "frames to tell": _more(change.told),
            "most of it": change.stage,
        }
        for change in comparison.changes
    ]


def _more(told: Told) -> str:
    if told.more is None or told.difference is None:
        return ""
    return f"{told.more} {'more' if told.difference.of == 'frame' else 'more blocks'}"


def _with_interval(ms: float, interval: Interval) -> str:
    return f"{ms:.1f} ({interval.low:.1f}–{interval.high:.1f})"


def _as_told(name: str, interval: Interval) -> dict[str, object]:
    covered = interval.coverage
    return {
        f"{name}_interval_ms": (interval.low, interval.high),
        f"{name}_coverage_pct": None if covered is None else 100 * covered,
    }


def _ratio(change: Change) -> str:
    if change.ratio_interval is None:
        return f"{change.ratio:.3f}"
    low, high = change.ratio_interval
    return f"{change.ratio:.3f} ({low:.3f}–{high:.3f})"
