"""A run that is being written: what was measured goes to its files at once, its rows are kept.

    frame ──> samples.jsonl     cell ends ──> cells.jsonl, a row of summary.csv, of accuracy.csv

samples.jsonl and cells.jsonl are the truth: whatever happens, all rows come from them again. The
tables are added to, and written anew when a run is gone on with and when it ends: what rows say of
one another, as the speed-up does, stands in them then.
"""

from typing import Self

from msgspec.structs import replace

from orchestrator.results.line_file import LineFile
from orchestrator.results.profile import read_profile
from orchestrator.results.records import CellRecord, FrameRecord, RunRecord
from orchestrator.results.rows import Row
from orchestrator.results.run_folder import (
    ACCURACY_FILE,
    CELLS_FILE,
    SAMPLES_FILE,
    SUMMARY_FILE,
    RunFolder,
)
from orchestrator.results.summary import completed, measured_row
from orchestrator.results.tables import accuracy_csv, summary_csv


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
        self._cells: dict[str, CellRecord] = {}
        self._rows: dict[str, Row] = {}
        self._began_ns: dict[str, int] = {}
        contents = folder.contents()
        self._frames = contents.frames
        folder.write_run(run)
        for cell in contents.cells:
            self._take(cell)
        self._frames.clear()  # of cells that were interrupted
        self.write_tables()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._lines.values():
            file.close()

    @property
    def ended(self) -> set[tuple[str, int]]:
        """The keys and blocks that need not be measured again: no error, and all frames there."""
        return {
            (key, cell.block)
            for key, cell in self._cells.items()
            # the first runs did not count their frames
            if cell.error is None and self._rows[key].frames >= (cell.frames or 1)
        }

    @property
    def valid(self) -> set[tuple[str, int]]:
        """Those of the cells whose rows count."""
        return {(key, cell.block) for key, cell in self._cells.items() if self._rows[key].valid}

    @property
    def disturbed(self) -> set[tuple[str, int]]:
        """Those that ended while the machine was disturbed."""
        both = zip(self.cells, self.rows, strict=True)
        return {(cell.key, cell.block) for cell, row in both if row.disturbed and not cell.error}

    @property
    def cells(self) -> list[CellRecord]:
        """The ended cells in the order of the grid; of one measured again, the last attempt."""
        return self.run.in_order(self._cells)

    @property
    def rows(self) -> list[Row]:
        """Their rows."""
        return completed(self.run.in_order(self._rows), read_profile(self.folder))

    @property
    def began_ns(self) -> list[int | None]:
        """When the first frame of each began, on the UE's clock; None for one without frames."""
        return [self._began_ns.get(cell.key) for cell in self.cells]

    def add_frame(self, frame: FrameRecord) -> None:
        """Write down a frame of the cell that is measured."""
        self._frames.setdefault(frame.attempt, []).append(frame)
        self._add(SAMPLES_FILE, frame.line())

    def add_cell(self, cell: CellRecord) -> None:
        """Write down how a cell ended, and see that it is on the disk."""
        before = self._cells.get(cell.key)
        if before and before.block == cell.block:
            cell = replace(cell, measured=before.measured + 1)
        self._add(CELLS_FILE, cell.line(), sync=True)
        self._take(cell)
        if before:
            self.write_tables()
            return
        self._add(SUMMARY_FILE, summary_csv([self._rows[cell.key]], header=False).encode()[:-1])
        if lines := accuracy_csv([cell], header=False):
            self._add(ACCURACY_FILE, lines.encode()[:-1])

    def update(self, **changes: object) -> None:
        """Change these fields of run.json."""
        self.run = replace(self.run, **changes)
        self.folder.write_run(self.run)

    def write_tables(self) -> None:
        """Write summary.csv and accuracy.csv, over what was there."""
        for name in (SUMMARY_FILE, ACCURACY_FILE):  # which have another file in their place now
            if name in self._lines:
                self._lines.pop(name).close()
        self.folder.replace(SUMMARY_FILE, summary_csv(self.rows))
        self.folder.replace(ACCURACY_FILE, accuracy_csv(self.cells, self.run.whole_accuracy))

    def _take(self, cell: CellRecord) -> None:
        frames = self._frames.pop(cell.attempt, [])
        self._cells[cell.key] = cell
        self._rows[cell.key] = measured_row(self.run, cell, frames)
        self._began_ns.pop(cell.key, None)
        if frames:
            self._began_ns[cell.key] = frames[0].stages[0].start_ns
        self.count += 1

    def _add(self, name: str, line: bytes, *, sync: bool = False) -> None:
        if name not in self._lines:
            self._lines[name] = LineFile(self.folder.path / name)
        try:
            self._lines[name].add(line, sync=sync)
        except OSError as error:
            raise self.folder.unwritable(name, error) from error
