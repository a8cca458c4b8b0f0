"""A run that is being written: what was measured goes to its files at once, its rows are kept.

    frame ──> samples.jsonl     cell ends ──> cells.jsonl, a row of summary.csv, of accuracy.csv

samples.jsonl and cells.jsonl are the truth: whatever happens, all rows come from them again. The
tables are added to, and written anew when a run is gone on with and when it ends: what rows say of
one another, as the speed-up does, stands in them then.
"""

import dataclasses
from collections.abc import Sequence
from typing import Self

from msgspec.structs import replace

from orchestrator.results.columns.measured import measured_row
from orchestrator.results.line_file import LineFile
from orchestrator.results.profile import read_profiles
from orchestrator.results.records import CellRecord, FrameRecord, RunRecord
from orchestrator.results.rows import Row
from orchestrator.results.run_folder import (
    ACCURACY_FILE,
    CELLS_FILE,
    RESOURCES_FILE,
    SAMPLES_FILE,
    SUMMARY_FILE,
    UES_FILE,
    RunFolder,
)
from orchestrator.results.statistics.measured_visit import (
    MeasuredVisit,
    counting_of,
    measured_visit,
    standing_for,
    was_elsewhere,
)
from orchestrator.results.summary import rows_of, visit_rows, with_predicted
from orchestrator.results.tables import accuracy_csv, resources_csv, summary_csv, ues_csv


class Journal:
    """Writes down a run, from its beginning or from where an earlier part of it ended.

    Every method raises RunError where a file cannot be written; what was written before is kept.
    """

    def __init__(self, folder: RunFolder, run: RunRecord) -> None:
        """Write run.json and take up what earlier parts of the run have measured."""
        self.folder = folder
        self.run = run
        self.count = 0
        """How many cells have ended; one that was measured again has ended twice."""
        self._lines: dict[str, LineFile] = {}
        self._visits: dict[str, dict[int, MeasuredVisit]] = {}
        self._own: dict[str, Row] = {}
        self._alone: list[Row] | None = None
        """Rows as they are now: of cells, before others complete them, and of visits."""
        self._begins: dict[str, int] = {}
        """Of each attempt at a cell, where its frames begin in their file."""
        contents = folder.contents()
        folder.write_run(run)
        for cell in contents.cells:
            self._take(cell, contents.frames.pop(cell.attempt, []))
        self.write_tables()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._lines.values():
            file.close()

    @property
    def ended(self) -> set[tuple[str, int]]:
        """The visits that need not be made again, each by its key and its block."""
        return {visit.key for visit in self.visits if visit.ended}

    @property
    def valid(self) -> set[tuple[str, int]]:
        """Those that count: no rule failed."""
        alone = zip(self.visits, self.visit_rows, strict=True)
        return {visit.key for visit, row in alone if row.valid}

    @property
    def disturbed(self) -> set[tuple[str, int]]:
        """Those that ended while the machine was disturbed."""
        alone = zip(self.visits, self.visit_rows, strict=True)
        return {one.key for one, row in alone if row.disturbed and one.cell.error is None}

    @property
    def cells(self) -> list[CellRecord]:
        """The ended cells in the order of the grid, each by the visit that stands for it."""
        return [standing_for([visit.cell for visit in visits]) for visits in self._by_cell]

    @property
    def rows(self) -> list[Row]:
        """Their rows."""
        own = [self._row(cell.key) for cell in self.cells]
        return rows_of(self.run, self._by_cell, own, read_profiles(self.folder))

    def _row(self, key: str) -> Row:
        """What the cell's visits say by themselves."""
        if key not in self._own:
            visits = self._visits[key]
            self._own[key] = measured_row(self.run, [visits[block] for block in sorted(visits)])
        return self._own[key]

    @property
    def visits(self) -> list[MeasuredVisit]:
        """Those that count, cell by cell: of one that was made again, the last without a fault."""
        return [visit for visits in self._by_cell for visit in visits]

    @property
    def visit_rows(self) -> list[Row]:
        """Theirs, each as if it were all of its cell."""
        if self._alone is None:
            self._alone = visit_rows(self.run, self.visits, read_profiles(self.folder))
        return self._alone

    @property
    def _by_cell(self) -> list[list[MeasuredVisit]]:
        every = self.run.in_order(self._visits)
        return [[visits[block] for block in sorted(visits)] for visits in every]

    @property
    def every(self) -> list[Row]:
        """Those of the cells that were not measured with them, as a race predicts them."""
        return with_predicted(self.run, self.cells, self.rows, read_profiles(self.folder))

    def add_frame(self, frame: FrameRecord) -> None:
        """Write down a frame of the cell that is measured; no more of it is kept."""
        if frame.attempt not in self._begins:
            self._begins[frame.attempt] = self.folder.frames_bytes
        self._add(SAMPLES_FILE, frame.line())

    def add_cell(self, cell: CellRecord) -> None:
        """Write down how a cell ended, and see that it is on the disk."""
        visits = {**self._visits.get(cell.key, {})}
        if before := visits.get(cell.block):
            cell = replace(cell, measured=before.cell.measured + 1)
        self._add(CELLS_FILE, cell.line(), sync=True)
        self._take(cell, self._frames(cell.attempt))
        if visits:
            self.write_tables()
            return
        self._add(SUMMARY_FILE, summary_csv([self._row(cell.key)], header=False).encode()[:-1])
        ended = [[self._visits[cell.key][cell.block]]]
        if lines := resources_csv(ended, self.run, header=False):
            self._add(RESOURCES_FILE, lines.encode()[:-1])
        if cell.ues:
            self._write_ues()
        if lines := accuracy_csv([cell], header=False):
            self._add(ACCURACY_FILE, lines.encode()[:-1])

    def update(self, **changes: object) -> None:
        """Change these fields of run.json."""
        self.run, self._alone = replace(self.run, **changes), None
        self._own.clear()
        self.folder.write_run(self.run)

    def write_tables(self) -> None:
        """Write summary.csv, accuracy.csv and resources.csv, over what was there."""
        # which have another file in their place now
        for name in (SUMMARY_FILE, ACCURACY_FILE, RESOURCES_FILE):
            if name in self._lines:
                self._lines.pop(name).close()
        self.folder.replace(SUMMARY_FILE, summary_csv(self.every, self.run.flow))
        self.folder.replace(ACCURACY_FILE, accuracy_csv(self.cells, self.run.whole_accuracy))
        self.folder.replace(RESOURCES_FILE, resources_csv(self._by_cell, self.run))
        self._write_ues()

    def _write_ues(self) -> None:
        if lines := ues_csv(self._by_cell):
            self.folder.replace(UES_FILE, lines)

    def _frames(self, attempt: str) -> Sequence[FrameRecord]:
        """Those of an attempt, from their file."""
        if (begins := self._begins.pop(attempt, None)) is None:
            return ()
        return [one for one in self.folder.frames(begins) if one.attempt == attempt]

    def _take(self, cell: CellRecord, frames: Sequence[FrameRecord]) -> None:
        visits = self._visits.setdefault(cell.key, {})
        if was_elsewhere((visit.cell for visit in visits.values()), cell):
            visits.clear()
        before = visits.get(cell.block)
        counts = counting_of(before.cell if before else None, cell)
        if before and counts is not cell:
            visits[cell.block] = dataclasses.replace(before, cell=counts)
        else:
            visits[cell.block] = measured_visit(cell, frames)
        self._own.pop(cell.key, None)
        self._alone = None
        self.count += 1

    def _add(self, name: str, line: bytes, *, sync: bool = False) -> None:
        if name not in self._lines:
            self._lines[name] = LineFile(self.folder.path / name)
        try:
            self._lines[name].add(line, sync=sync)
        except OSError as error:
            raise self.folder.unwritable(name, error) from error
