"""A run as its readers have it: records, rows and raw times, from a folder or an archive.

Lines that are no records are left out and told; what cannot be read at all is refused.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from orchestrator.ask.flow import UPLINK
from orchestrator.ask.split_point import as_codec, in_precision
from orchestrator.results.archive import unpacked
from orchestrator.results.columns.measured import measured_row
from orchestrator.results.facts import InputFacts
from orchestrator.results.json_record import json_text
from orchestrator.results.kinds import RUN_FILE, check_sweep
from orchestrator.results.profile import Profile, Profiles, read_profiles
from orchestrator.results.records import CellRecord, FrameRecord, RunRecord
from orchestrator.results.rows import Row
from orchestrator.results.run_folder import (
    CALIBRATION_FILE,
    CELLS_FILE,
    SAMPLES_FILE,
    SCENARIO_FILE,
    RunFolder,
)
from orchestrator.results.statistics.measured_visit import counting, measured_visit, standing_for
from orchestrator.results.statistics.times import CellTimes, cell_times, pooled
from orchestrator.results.summary import rows_of, with_predicted
from splitbed.checked import read_yaml
from splitbed.errors import UsageError
from splitbed.timeline import Timeline

SWEEP_FOLDER = "sweep"  # of a scenario, or of a replay


@dataclass(frozen=True)
class GridPoint:
    """What makes rows of two runs the same point of the grid."""

    split: str
    codec: str
    link: str
    ue: str
    flow: str = UPLINK
    load: str = ""
    precision: str = ""

    @classmethod
    def of(cls, row: Row) -> "GridPoint":
        """That of a row."""
        where = row.link, row.ue, row.flow, row.load
        return cls(row.split, row.codec, *where, row.precision)

    @property
    def words(self) -> str:
        """As messages name it."""
        flow = "" if self.flow == UPLINK else f"{self.flow} "
        ue = f", UE {self.ue}" if self.ue else ""
        load = f", {self.load}" if self.load else ""
        coded = as_codec(self.codec) + in_precision(self.precision)
        return f"{flow}{self.split}{coded} at {self.link}{ue}{load}"


@dataclass(frozen=True)
class Reading:
    """One run; its cells are those that ended, in the order of the grid.

    ``visits`` has, of each, those that count, block by block: of several attempts at one, the last
    without a fault. ``clause`` names the scenario that it was measured for, ``calibration`` the
    frames of the codecs; ``damage`` says which lines are no records and left out.
    """

    name: str
    run: RunRecord
    visits: Sequence[Sequence[CellRecord]]
    frames: Mapping[str, Sequence[FrameRecord]]
    """By the attempt at a cell that they are of."""
    profiles: Profiles
    clause: str | None
    calibration: tuple[InputFacts, ...]
    damage: tuple[str, ...]
    tables: Mapping[str, str] = field(default_factory=dict)
    """The sha256 of what each stage was fitted to, by the stage and the tensor."""

    @cached_property
    def cells(self) -> list[CellRecord]:
        """One visit of each, which stands for all: the first, or the first that failed."""
        return [standing_for(visits) for visits in self.visits]

    @property
    def profile(self) -> Profile | None:
        """Of the nodes; of a run on several machines, of the first."""
        return next(iter(self.profiles.values()), None)

    @property
    def notes(self) -> tuple[str, ...]:
        """What is wrong with its files."""
        if self.frames or not self.visits:
            return self.damage
        return (*self.damage, f"{self.name} has no {SAMPLES_FILE}: its times are not known")

    @cached_property
    def rows(self) -> list[Row]:
        """A row for each of the cells."""
        every = [
            [measured_visit(visit, self._frames(visit)) for visit in visits]
            for visits in self.visits
        ]
        own = [measured_row(self.run, visits) for visits in every]
        return rows_of(self.run, every, own, self.profiles)

    @cached_property
    def every(self) -> list[Row]:
        """The rows, and those that a race predicts of cells that were not measured."""
        return with_predicted(self.run, self.cells, self.rows, self.profiles)

    @cached_property
    def by_point(self) -> dict[GridPoint, Row]:
        """The rows by what they measured."""
        return {GridPoint.of(row): row for row in self.rows}

    def frames_of(self, cell: CellRecord) -> list[FrameRecord]:
        """The frames of a cell that came to an end, visit by visit."""
        return [frame for visit in self._visits_of(cell) for frame in self._ended(visit)]

    def timelines_of(self, cell: CellRecord) -> list[Timeline]:
        """The frames of a cell one by one, each on the UE's clock."""
        found = []
        for visit in self._visits_of(cell):
            clocks = visit.node_clocks
            found += [Timeline(clocks.on_one(frame.stages)) for frame in self._ended(visit)]
        return found

    def times_of(self, cell: CellRecord) -> CellTimes | None:
        """Their times; None where there is no frame."""
        found = [
            cell_times(frames, visit.node_clocks, visit.flow)
            for visit in self._visits_of(cell)
            if (frames := self._ended(visit))
        ]
        return pooled(found) if found else None

    def blocks_of(self, point: GridPoint) -> dict[int, CellTimes]:
        """The times of a row in each of its blocks that has a frame."""
        return {
            visit.block: cell_times(frames, visit.node_clocks, visit.flow)
            for visit in self._visits_by_point[point]
            if (frames := self._ended(visit))
        }

    @cached_property
    def _visits_by_point(self) -> dict[GridPoint, Sequence[CellRecord]]:
        return dict(zip(map(GridPoint.of, self.rows), self.visits, strict=True))

    def _visits_of(self, cell: CellRecord) -> Sequence[CellRecord]:
        return next(visits for visits in self.visits if visits[0].key == cell.key)

    def _ended(self, visit: CellRecord) -> Sequence[FrameRecord]:
        return [frame for frame in self._frames(visit) if frame.ended]

    def _frames(self, visit: CellRecord) -> Sequence[FrameRecord]:
        return self.frames.get(visit.attempt, ())


def read(path: Path) -> Reading:
    """The run in a folder, or in an archive of `orchestrate pack`.

    Of the folder of a scenario, or of a replay, its sweep. Raises UsageError for what is none, and
    for one that no cell of has ended.
    """
    with unpacked(path) as folder:
        return read_unpacked(folder, path)


def read_unpacked(path: Path, name: Path) -> Reading:
    """The same of a folder, which is called so, or was made of an archive that is."""
    folder = sweep_folder(path)
    reading = read_folder(folder, str(name))
    if not (folder / CELLS_FILE).exists():
        raise UsageError(f"{name} has no {CELLS_FILE}: no cell of that run has ended")
    return reading


def sweep_folder(path: Path) -> Path:
    """The run folder itself; of the folder of a scenario, or of a replay, that of its sweep."""
    inner = path / SWEEP_FOLDER
    inside = not (path / RUN_FILE).exists() and (inner / RUN_FILE).exists()
    return inner if inside else path


def read_folder(path: Path, name: str | None = None) -> Reading:
    """The run in a run folder, as far as it can be read. Raises UsageError for what is none."""
    name, folder = name or str(path), RunFolder(path)
    check_sweep(path, name)
    run = folder.read_run()
    if not run.model.name:
        raise UsageError(
            f"cannot read {name}, its files are damaged: a record lacks 'model'; have them from a "
            "backup, or measure again"
        )
    contents, (frames, tables) = folder.contents(), _calibration(path)
    return Reading(
        name=name,
        run=run,
        visits=run.in_order(counting(contents.cells)),
        frames=contents.frames,
        profiles=read_profiles(folder),
        clause=_clause(path),
        calibration=frames,
        tables=tables,
        damage=tuple(words.replace(str(path), name) for words in contents.damage),
    )


def _calibration(path: Path) -> tuple[tuple[InputFacts, ...], dict[str, str]]:
    """The frames, and the sha256 of what each stage was fitted to."""
    file = path / CALIBRATION_FILE
    if not file.exists():
        return (), {}
    try:
        held = json.loads(json_text(file))
        rows = held.get("tables", ())  # earlier versions fitted nothing
        tables = {
            f"{one['stage']} for {one['tensor']} at cut {one['cut']}": str(one["sha256"])
            for one in rows
        }
        frames = [*held["frames"], *held.get("quantised_on", ())]  # earlier versions had none
        return tuple(map(InputFacts.from_plain, frames)), tables
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        raise UsageError(
            f"{file} is damaged; have it from a backup, or from an archive of `orchestrate pack`"
        ) from None


def _clause(path: Path) -> str | None:
    """Of the scenario whose sweep this is; an archive has its file beside the run's own."""
    for folder in (path, path.parent):
        if (folder / SCENARIO_FILE).is_file():
            return str(read_yaml(folder / SCENARIO_FILE).get("clause", "")) or None
    return None
