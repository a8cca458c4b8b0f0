"""A model sweep, a model in increments, or a growth, as those have it who read its folder."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.results.facts import InputFacts
from orchestrator.results.kinds import GROWTH, IN_TRANSIT, MODEL_SWEEP, Kind, read_transit_record
from orchestrator.results.records import RunRecord
from orchestrator.results.run_folder import RunFolder
from orchestrator.transit.growth.journal import GrowthJournal
from orchestrator.transit.growth.row import GrowthRow
from orchestrator.transit.increments.run import INCREMENTS
from orchestrator.transit.journal import Journal
from orchestrator.transit.row import ModelRow
from orchestrator.transit.run import MODELS

Point = tuple[str, str]
"""What names a row: its coder, and its link in words, which are empty without one; of a growth, its
split with its way."""
TransitRow = ModelRow | GrowthRow


@dataclass(frozen=True)
class TransitReading:
    """One run: its rows are made of its records; ``run`` says what was asked, of what, where.

    Options of the sweep that it was asked with stand among its own.
    """

    name: str
    kind: Kind
    run: RunRecord
    points: Mapping[Point, TransitRow]
    notes: tuple[str, ...]
    calibration: tuple[InputFacts, ...] = ()
    startups_ms: Mapping[Point, Sequence[float]] = field(default_factory=dict)
    """Of a model sweep: of each delivery over a link that came, in their order."""


def read_transit(folder: Path, name: str) -> TransitReading:
    """The run in a folder that has one. Raises UsageError for what cannot be read."""
    kind = next(kind for kind in IN_TRANSIT if kind.is_in(folder))
    record, files = read_transit_record(folder, kind), RunFolder(folder)
    run = RunRecord(asked=record.options, model=record.model, conditions=record.conditions)
    if kind is MODEL_SWEEP:
        models = Journal(files, MODELS)
        points, notes = models.points, tuple(models.damage)
        return TransitReading(name, kind, run, points, notes, startups_ms=models.startups_ms)
    rows, damage = _points(files, kind)
    return TransitReading(name, kind, run, rows, tuple(damage))


def _points(folder: RunFolder, kind: Kind) -> tuple[Mapping[Point, TransitRow], Sequence[str]]:
    """The rows of growth or increments, and which lines of the run are damaged."""
    if kind is GROWTH:
        growth = GrowthJournal(folder)
        return growth.points, growth.damage
    increments = Journal(folder, INCREMENTS)
    return increments.points, increments.damage
