"""Runs held against the first of them: what became faster, what slower, and what is noise.

Shift and scatter of all rows are told on their own, a row by :mod:`orchestrator.checks.told`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from orchestrator.checks.comparison import (
    Comparison,
    TimedChange,
    disturbed,
    machines,
    measured_of,
    moved_most,
)
from orchestrator.checks.told import Told, told_apart
from orchestrator.results.columns.flow import stages_of
from orchestrator.results.reading import GridPoint, Reading
from orchestrator.results.rows import Row, known, known_interval
from orchestrator.results.statistics.blocks import beside


@dataclass(frozen=True, kw_only=True)
class Change(TimedChange):
    """One row of two sweeps."""

    point: GridPoint

    @property
    def named(self) -> Mapping[str, object]:
        """See :class:`TimedChange`."""
        point = self.point
        return {
            "split": point.split,
            "codec": point.codec,
            "precision": point.precision,
            "link": point.link,
            "ue": point.ue,
            "load": point.load,
        }


def compare(base: Reading, other: Reading) -> Comparison[Change]:
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


def _change(point: GridPoint, base: Reading, other: Reading, told: Told) -> Change:
    before, after = base.by_point[point], other.by_point[point]
    if told.word != "noise" and (before.disturbed or after.disturbed):
        told = replace(told, word="disturbed")
    return Change(
        point=point,
        base_ms=known(before.e2e_ms),
        base_interval=known_interval(before),
        other_ms=known(after.e2e_ms),
        other_interval=known_interval(after),
        told=told,
        stage="" if told.word == "noise" else _stage(before, after),
    )


def _stage(before: Row, after: Row) -> str:
    return moved_most(before.value, after.value, stages_of(before.flow))


def _remarks(base: Reading, other: Reading) -> list[str]:
    """What makes the two runs other measurements than of the same thing."""
    remarks = [*base.notes, *other.notes, *measured_of(base.run.model, other.run.model)]
    for reading in (base, other):
        if reading.run.verdict != "VALID":
            verdict = reading.run.verdict or "not ended"
            remarks.append(f"{reading.name} is {verdict}: see its run.json")
        remarks += disturbed(reading.name, [row.disturbed for row in reading.rows])
    return remarks + machines(base.run, other.run)
