"""What two runs come to beside each other: rows that changed, rows of one alone, remarks."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Generic, TypeVar

from orchestrator.checks.told import MAX_SHIFT, Told, shifted
from orchestrator.results.facts import ModelFacts
from orchestrator.results.records import RunRecord
from orchestrator.results.statistics.intervals import Interval

_HEADS = {
    "ue": "UE",
    "a_bytes": "A bytes",
    "b_bytes": "B bytes",
    "a_perf": "A reaches",
    "b_perf": "B reaches",
}
WORDS = ("faster", "slower", "noise", "disturbed")
"""The last is of a row that would be faster or slower, had its machine done nothing else."""


@dataclass(frozen=True, kw_only=True)
class TimedChange(ABC):
    """A row's time in two runs; `ratio` is B's median over A's, `stage` what moved."""

    COUNTED: ClassVar[str] = "frames"
    """What a row has several of, and its time is the median of."""
    AGAIN: ClassVar[str] = "--blocks 5"
    """How a run is made that tells by how much runs differ."""

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

    @property
    @abstractmethod
    def named(self) -> Mapping[str, object]:
        """What names its row, as JSON has it, and what else is told of it."""

    def line(self) -> dict[str, object]:
        """As JSON has it."""
        return {
            **self.named,
            "a_ms": self.base_ms,
            **_as_told("a", self.base_interval),
            "b_ms": self.other_ms,
            **_as_told("b", self.other_interval),
            "ratio": self.ratio,
            "ratio_interval": self.ratio_interval,
            "word": self.word,
            f"{self.COUNTED}_to_tell": self.told.more,
            "stage": self.stage,
        }

    def shown(self) -> dict[str, object]:
        """As a table has it: times with intervals, in milliseconds."""
        return {
            **self.named,
            "A ms": _with_interval(self.base_ms, self.base_interval),
            "B ms": _with_interval(self.other_ms, self.other_interval),
            "B/A": _ratio(self),
            "verdict": self.word,
            f"{self.COUNTED} to tell": _more(self.told),
            "most of it": self.stage,
        }


Changed_co = TypeVar("Changed_co", bound=TimedChange, covariant=True)


@dataclass(frozen=True)
class Comparison(Generic[Changed_co]):
    """Two runs: rows in the order of the first, what only one has, and remarks on both."""

    base: str
    other: str
    changes: tuple[Changed_co, ...]
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
        of, found = self.changes[0], [change.told.difference for change in self.changes]
        if not any(one and one.of == "frame" for one in found):
            return ""
        return (
            f". {of.COUNTED.capitalize()} are of one run each, and runs differ by more than their "
            f"{of.COUNTED} do: a change that matters is measured again, with {of.AGAIN}"
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


def _shift(changes: Sequence[TimedChange]) -> tuple[float, float]:
    return shifted([math.log(change.ratio) for change in changes])


def moved_most(
    before: Callable[[str], object], after: Callable[[str], object], stages: Sequence[str]
) -> str:
    """The stage whose median changed most; both are asked for columns."""
    changes_ms = {}
    for stage in stages:
        first_ms, second_ms = (value(f"{stage}_ms") for value in (before, after))
        # of two machines, one-way times may not be known
        if isinstance(first_ms, int | float) and isinstance(second_ms, int | float):
            changes_ms[stage] = second_ms - first_ms
    if not changes_ms:
        return ""
    stage = max(changes_ms, key=lambda name: abs(changes_ms[name]))
    return f"{stage} {changes_ms[stage]:+.1f} ms"


def measured_of(base: ModelFacts, other: ModelFacts) -> list[str]:
    """What makes the models and inputs of two runs other ones."""
    remarks = []
    if base.sha256 != other.sha256:
        remarks.append(f"the models differ: {_model(base)} and {_model(other)}")
    if _inputs(base) != _inputs(other):
        remarks.append("the inputs differ")
    return remarks


def _model(model: ModelFacts) -> str:
    return ", ".join(filter(None, (model.name, model.weights)))


def _inputs(model: ModelFacts) -> list[object]:
    return [one.sha256 or one for one in model.inputs]


def disturbed(name: str, marks: Sequence[str | None]) -> list[str]:
    """How many rows of a run something else disturbed, by what each says of that."""
    if not (count := sum(map(bool, marks))):
        return []
    return [
        f"{count} of {len(marks)} rows of {name} were disturbed: what they took is the machine's "
        "as well"
    ]


def machines(base: RunRecord, other: RunRecord) -> list[str]:
    """What makes the machines of two runs other ones."""
    before, after = base.conditions, other.conditions
    remarks = []
    for name, one, another in (("ue", before.ue, after.ue), ("edge", before.edge, after.edge)):
        if one.cpu != another.cpu:
            remarks.append(f"the {name} is another machine: {one.cpu} and {another.cpu}")
    for name in ("git_commit", "python", "kernel", "link_backend"):
        if getattr(before, name) != getattr(after, name):
            remarks.append(f"{name} differs: {getattr(before, name)} and {getattr(after, name)}")
    return remarks


def lines(comparison: Comparison[TimedChange]) -> Sequence[dict[str, object]]:
    """A table of all changes; without loads and precisions, where there are none."""
    shown = [change.shown() for change in comparison.changes]
    usual = [one for one in ("load", "precision") if not any(line.get(one) for line in shown)]
    return [
        {_HEADS.get(name, name): v for name, v in line.items() if name not in usual}
        for line in shown
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


def _ratio(change: TimedChange) -> str:
    if change.ratio_interval is None:
        return f"{change.ratio:.3f}"
    low, high = change.ratio_interval
    return f"{change.ratio:.3f} ({low:.3f}–{high:.3f})"
