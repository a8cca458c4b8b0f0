"""A model sweep, or a model in increments, as those have it who read its folder."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from orchestrator.results.facts import InputFacts
from orchestrator.results.records import RunRecord
from orchestrator.results.run_folder import RunFolder
from orchestrator.transit.increments.run import INCREMENTS
from orchestrator.transit.journal import Journal, Layout
from orchestrator.transit.row import AnyRow, ModelRow
from orchestrator.transit.run import MODELS
from splitbed.errors import UsageError

Point = tuple[str, str]
"""What names a row: its coder, and its link in words, which are empty without one."""


@dataclass(frozen=True)
class TransitReading:
    """One run: its rows are made of its records; ``run`` says what was asked, of what, where.

    Options of the sweep that it was asked with stand among its own.
    """

    name: str
    run: RunRecord
    points: Mapping[Point, ModelRow]
    notes: tuple[str, ...]
    calibration: tuple[InputFacts, ...] = ()


def folder_of(path: Path) -> Path | None:
    """The folder of such a run: itself, or the one in that of a scenario; None where there is none.

    UsageError where a scenario has several.
    """
    found = [one for one in (path, *sorted(path.glob("*/"))) if _is_run(one)]
    if len(found) > 1 and found[0] != path:
        names = ", ".join(one.name for one in found)
        raise UsageError(f"{path} has several runs of models: give one, {names}")
    return found[0] if found else None


def read_transit(folder: Path, name: str) -> TransitReading:
    """The run in a folder of :func:`folder_of`. Raises UsageError for what cannot be read."""
    if INCREMENTS.is_in(folder):
        return _read(folder, name, INCREMENTS)
    return _read(folder, name, MODELS)


def _is_run(folder: Path) -> bool:
    return MODELS.is_in(folder) or INCREMENTS.is_in(folder)


def _read(folder: Path, name: str, layout: Layout[AnyRow]) -> TransitReading:
    record = layout.asked(folder)
    journal = Journal(RunFolder(folder), layout)
    config = record.asked.get("config")
    asked = {name: value for name, value in record.asked.items() if name != "config"}
    run = RunRecord(
        asked={**(config if isinstance(config, Mapping) else {}), **asked},
        model=record.model,
        conditions=record.conditions,
    )
    return TransitReading(name, run, journal.points, tuple(journal.damage))
