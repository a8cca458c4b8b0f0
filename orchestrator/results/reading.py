"""A run as its readers have it: rows and raw times by what was measured, from a folder or archive.

Half-written lines are left out and told; what cannot be read at all is refused.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from netem.spec import LinkSpec
from orchestrator.results.archive import extract
from orchestrator.results.rows import Row
from orchestrator.results.run_folder import (
    CALIBRATION_FILE,
    CELLS_FILE,
    RUN_FILE,
    SAMPLES_FILE,
    SCENARIO_FILE,
    Record,
    RunFolder,
)
from orchestrator.results.summary import rows, samples_by_attempt, timelines
from splitbed.checked import read_yaml
from splitbed.errors import UsageError

SWEEP_FOLDER = "sweep"  # of a scenario, or of a replay
_DAMAGED = (ValueError, LookupError, TypeError, AttributeError, AssertionError, ArithmeticError)


@dataclass(frozen=True)
class Point:
    """What makes rows of two runs the same point of the grid."""

    split: str
    codec: str
    link: str
    ue: str

    @property
    def words(self) -> str:
        """As messages name it."""
        codec = "" if self.codec in ("raw", "none") else f" as {self.codec}"
        ue = f", UE {self.ue}" if self.ue else ""
        return f"{self.split}{codec} at {self.link}{ue}"


@dataclass(frozen=True)
class Reading:
    """One run; `e2e_ms` has every frame's time of each row, `notes` what is wrong with its files.

    `clause` names the scenario that it was measured for, `calibration` the frames of the codecs.
    """

    name: str
    run: Record
    rows: Mapping[Point, Row]
    e2e_ms: Mapping[Point, list[float]]
    clause: str | None
    calibration: object
    notes: tuple[str, ...]


def read(path: Path) -> Reading:
    """The run in a folder, or in an archive of `orchestrate pack`.

    Of the folder of a scenario, or of a replay, its sweep. Raises UsageError for what is none.
    """
    if path.is_file():
        with TemporaryDirectory(prefix="splitbed-archive-") as folder:
            extract(path, Path(folder))
            return _read(Path(folder), str(path))
    return _read(sweep_folder(path), str(path))


def sweep_folder(path: Path) -> Path:
    """The run folder itself; of the folder of a scenario, or of a replay, that of its sweep."""
    inner = path / SWEEP_FOLDER
    inside = not (path / RUN_FILE).exists() and (inner / RUN_FILE).exists()
    return inner if inside else path


def _read(path: Path, name: str) -> Reading:
    folder = RunFolder(path)
    run = folder.read_run()
    notes = [note.replace(str(path), name) for note in folder.damage()]
    if not (path / CELLS_FILE).exists():
        raise UsageError(f"{name} has no {CELLS_FILE}: no cell of that run has ended")
    if not (path / SAMPLES_FILE).exists():
        notes.append(f"{name} has no {SAMPLES_FILE}: its times are not known")
    try:
        table, samples = rows(folder), samples_by_attempt(folder)
        points = [_point(cell) for cell in folder.counted()]
        times = {
            point: [frame.e2e_ms for frame in timelines(cell, samples[cell["attempt"]])]
            for point, cell in zip(points, folder.counted(), strict=True)
        }
        by_point = dict(zip(points, table, strict=True))
        calibration = _calibration(path)
    except _DAMAGED as error:
        what = f"lacks {error}" if isinstance(error, KeyError) else str(error)
        raise UsageError(f"{name} cannot be read as a run, its files are damaged: {what}") from None
    return Reading(name, run, by_point, times, _clause(path), calibration, tuple(notes))


def _point(cell: Record) -> Point:
    link = LinkSpec.model_validate(cell["link"]).words
    return Point(cell["split"], cell.get("codec", "raw"), link, cell.get("ue", ""))


def _calibration(path: Path) -> object:
    file = path / CALIBRATION_FILE
    return json.loads(file.read_bytes())["frames"] if file.exists() else None


def _clause(path: Path) -> str | None:
    """Of the scenario whose sweep this is; an archive has its file beside the run's own."""
    for folder in (path, path.parent):
        if (folder / SCENARIO_FILE).is_file():
            return str(read_yaml(folder / SCENARIO_FILE).get("clause", "")) or None
    return None
