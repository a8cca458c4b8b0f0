"""Two runs of models in transit: which starts sooner or later now, and what has other bytes.

Times are told as those of sweeps are (:mod:`orchestrator.checks.told`), a delivery as a frame. The
bytes and the accuracy of a coder are what they are: they differ, or do not.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar

from orchestrator.checks.comparison import (
    Comparison,
    TimedChange,
    disturbed,
    machines,
    measured_of,
    moved_most,
)
from orchestrator.checks.told import Told, told_apart
from orchestrator.results.statistics.intervals import median_interval
from orchestrator.transit.reading import Point, TransitReading
from orchestrator.transit.row import ModelRow

_STAGES = "link", "decode_tail", "open", "first_inference"
"""What start-up adds up."""


@dataclass(frozen=True, kw_only=True)
class StartupChange(TimedChange):
    """One coder over one link, in two runs."""

    COUNTED: ClassVar[str] = "deliveries"
    AGAIN: ClassVar[str] = "--runs 6 or more, and in several runs"

    point: Point
    base: ModelRow
    other: ModelRow

    @property
    def named(self) -> Mapping[str, object]:
        """See :class:`TimedChange`."""
        coder, link = self.point
        return {
            "coder": coder,
            "link": link,
            "a_bytes": self.base.came_bytes,
            "b_bytes": self.other.came_bytes,
            "metric": self.base.metric_name,
            "a_perf": self.base.ue_perf,
            "b_perf": self.other.ue_perf,
        }


def compare_startups(base: TransitReading, other: TransitReading) -> Comparison[StartupChange]:
    """Every coder over every link that both runs delivered over."""
    mine, theirs = _rows(base), _rows(other)
    both = [p for p in mine if p in theirs and _came(base, p) and _came(other, p)]
    told = [point for point in both if mine[point].valid and theirs[point].valid]
    pairs = [(base.startups_ms[point], other.startups_ms[point]) for point in told]
    words = told_apart(pairs)
    changes = tuple(
        _change(point, (mine[point], theirs[point]), pair, word)
        for point, pair, word in zip(told, pairs, words, strict=True)
    )
    only = [f"not compared, INVALID in one: {_words(point)}" for point in both if point not in told]
    for reading, points, others in ((base, mine, theirs), (other, theirs, mine)):
        alone = [p for p in points if p not in others or (_came(reading, p) and p not in both)]
        only += [f"only in {reading.name}: {_words(point)}" for point in alone]
    sent = [p for p in mine if p in theirs and p in base.startups_ms]
    failed = [p for p in sent if not (_came(base, p) or _came(other, p))]
    only += [f"without a delivery in both: {_words(point)}" for point in failed]
    remarks = [*_remarks(base, other), *_bytes_and_accuracy(mine, theirs)]
    return Comparison(base.name, other.name, changes, tuple(only), tuple(remarks))


def _rows(reading: TransitReading) -> Mapping[Point, ModelRow]:
    return {point: row for point, row in reading.points.items() if isinstance(row, ModelRow)}


def _came(reading: TransitReading, point: Point) -> bool:
    return bool(reading.startups_ms.get(point))


def _change(
    point: Point,
    rows: tuple[ModelRow, ModelRow],
    startups_ms: tuple[Sequence[float], Sequence[float]],
    told: Told,
) -> StartupChange:
    before, after = rows
    if told.word != "noise" and not (before.compares and after.compares):
        told = replace(told, word="disturbed")
    intervals = [*map(median_interval, startups_ms)]
    moved = moved_most(partial(getattr, before), partial(getattr, after), _STAGES)
    return StartupChange(
        base_ms=before.startup_ms or 0.0,
        base_interval=intervals[0],
        other_ms=after.startup_ms or 0.0,
        other_interval=intervals[1],
        told=told,
        stage="" if told.word == "noise" else moved,
        point=point,
        base=before,
        other=after,
    )


def _remarks(base: TransitReading, other: TransitReading) -> list[str]:
    remarks = [*base.notes, *other.notes, *measured_of(base.run.model, other.run.model)]
    for reading in (base, other):
        remarks += disturbed(reading.name, [row.disturbed for row in reading.points.values()])
    return remarks + machines(base.run, other.run)


def _bytes_and_accuracy(
    mine: Mapping[Point, ModelRow], theirs: Mapping[Point, ModelRow]
) -> Iterator[str]:
    """Of each coder that both have, what no link changes, where it differs."""
    of_coders = [{coder: row for (coder, _), row in rows.items()} for rows in (mine, theirs)]
    for coder, before in of_coders[0].items():
        if after := of_coders[1].get(coder):
            if before.rec_size != after.rec_size and before.rec_size and after.rec_size:
                yield (
                    f"{coder}: {before.rec_size} and {after.rec_size} bytes, B/A "
                    f"{after.rec_size / before.rec_size:.3f}"
                )
            if before.rec_perf != after.rec_perf and None not in (before.rec_perf, after.rec_perf):
                yield (
                    f"{coder}: {before.metric_name} {before.rec_perf:.4g} and {after.rec_perf:.4g}"
                )


def _words(point: Point) -> str:
    coder, link = point
    return f"{coder} at {link}" if link else coder
