"""The folder of a run, written as things happen, so that nothing measured is ever lost.

    run.json        what was asked and the conditions     samples.jsonl   a line per frame
    cells.jsonl     a line per cell when it ends          summary.csv     a row per ended cell
    profile.json    what both nodes' profiles say         profile.csv     the same, a row per cut
    calibration.json  ranges and frames of the codecs     accuracy.csv    every metric of every row
    predictions/    a folder per cell (and one for the whole model), a file per picture

A cell that was interrupted has lines in samples.jsonl but none in cells.jsonl; it is measured
again under a new attempt, and only the attempt that the journal names counts. Cells are measured in
random order; run.json has the keys of all of them in the order of the grid.
"""

import csv
import fcntl
import io
import json
import os
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from splitbed.errors import RunError, UsageError

RUN_FILE, SAMPLES_FILE, CELLS_FILE = "run.json", "samples.jsonl", "cells.jsonl"
SUMMARY_FILE, LOCK_FILE = "summary.csv", ".lock"
PROFILE_FILE, PROFILE_TABLE_FILE = "profile.json", "profile.csv"
CALIBRATION_FILE, ACCURACY_FILE = "calibration.json", "accuracy.csv"
PREDICTIONS = "predictions"
SCENARIO_FILE = "scenario.yaml"  # in the folder above, where a scenario runs the sweep
SCHEMA = 1

Record = dict[str, Any]


@dataclass(frozen=True)
class RunFolder:
    """A run on disk."""

    path: Path

    @property
    def exists(self) -> bool:
        """Whether a sweep has begun here."""
        return (self.path / RUN_FILE).exists()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other sweeps out while this one writes; UsageError when one is at it."""
        with (self.path / LOCK_FILE).open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UsageError(
                    f"another sweep is writing to {self.path}: wait for it, or choose another --out"
                ) from None
            yield

    def write_run(self, run: Record) -> None:
        """Replace run.json as a whole: a reader sees the old one or the new one."""
        self.replace(RUN_FILE, json.dumps({**run, "schema": SCHEMA}, indent=2) + "\n")

    def ended(self) -> set[str]:
        """Keys of the cells that need not be measured again: no error, and all frames there."""
        measured = Counter(sample["attempt"] for sample in self.samples())
        return {
            cell["key"]
            for cell in self.cells()
            # the first runs did not count their frames
            if cell["error"] is None and measured[cell["attempt"]] >= (cell.get("frames") or 1)
        }

    def read_run(self) -> Record:
        """What run.json holds; UsageError when it is not there, damaged, or of a newer schema."""
        file = self.path / RUN_FILE
        try:
            run = dict(json.loads(file.read_bytes()))
            schema = int(run.get("schema", SCHEMA))  # the first runs did not say
        except OSError as error:
            raise UsageError(
                f"{self.path} is no run: its {RUN_FILE} cannot be read ({error.strerror}); "
                "give the folder that an earlier sweep wrote"
            ) from None
        except (ValueError, TypeError, RecursionError):
            raise UsageError(
                f"{self.path} is no run: its {RUN_FILE} is damaged; have it from a backup, or from "
                "an archive of `orchestrate pack`"
            ) from None
        if schema > SCHEMA:
            raise UsageError(
                f"{file} was made by a newer Splitbed: it has schema {schema}, this one reads up "
                f"to {SCHEMA}; install the newer one"
            )
        return run

    def add_sample(self, sample: Record) -> None:
        """Append one frame."""
        self._append(SAMPLES_FILE, sample)

    def add_cell(self, cell: Record) -> None:
        """Append one ended cell, and see that it is on the disk."""
        self._append(CELLS_FILE, cell, sync=True)

    def samples(self) -> Iterator[Record]:
        """Every frame, in the order of measurement."""
        return self._lines(SAMPLES_FILE)

    def cells(self) -> Iterator[Record]:
        """Every ended cell, in the order of measurement."""
        return self._lines(CELLS_FILE)

    def counted(self) -> list[Record]:
        """The cells in the order of the grid; of one that was measured again, the last attempt."""
        cells = {cell["key"]: cell for cell in self.cells()}
        places = {key: place for place, key in enumerate(self.read_run().get("grid", ()))}
        return sorted(cells.values(), key=lambda cell: places.get(cell["key"], len(places)))

    def damage(self) -> list[str]:
        """What is left out of the samples and cells: each line that is no record, in words."""
        return [
            f"{self.path / name}, line {place}, is damaged and left out"
            for name in (SAMPLES_FILE, CELLS_FILE)
            for place, record in self._records(name)
            if record is None
        ]

    def replace(self, name: str, text: str) -> None:
        """Write the file `name` as a whole, or leave it as it was."""
        draft = self.path / f".{name}.draft"
        try:
            draft.write_text(text)
            draft.replace(self.path / name)
        except OSError as error:
            draft.unlink(missing_ok=True)
            raise self._unwritable(name, error) from error

    def write_prediction(self, cell: str, name: str, text: str) -> None:
        """Write what was found in one picture, over what was found there before."""
        folder = self.path / PREDICTIONS / cell
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
        except OSError as error:
            raise self._unwritable(f"{PREDICTIONS}/{cell}/{name}", error) from error

    def drop_predictions(self, cell: str) -> None:
        """Remove what an interrupted attempt left."""
        shutil.rmtree(self.path / PREDICTIONS / cell, ignore_errors=True)

    def _append(self, name: str, record: Record, *, sync: bool = False) -> None:
        file = self.path / name
        line = json.dumps(record, separators=(",", ":")).encode() + b"\n"
        try:
            with file.open("ab") as stream:
                # a run that was killed, or ran out of disk, may have left half a line
                if stream.tell() and not _ends_with_newline(file):
                    line = b"\n" + line
                stream.write(line)
                stream.flush()
                if sync:
                    os.fsync(stream.fileno())
        except OSError as error:
            raise self._unwritable(name, error) from error

    def _unwritable(self, name: str, error: OSError) -> RunError:
        return RunError(
            f"cannot write {self.path / name}: {error.strerror}; what was measured before is "
            f"readable there: make room and go on with `orchestrate sweep --resume {self.path}`"
        )

    def _lines(self, name: str) -> Iterator[Record]:
        return (record for _, record in self._records(name) if record is not None)

    def _records(self, name: str) -> Iterator[tuple[int, Record | None]]:
        """Each line with its number; None for half a line of a run that was cut off."""
        file = self.path / name
        if not file.exists():
            return
        with file.open("rb") as stream:
            for place, line in enumerate(stream, 1):
                try:
                    record = json.loads(line)
                except (ValueError, RecursionError):
                    record = None
                yield place, record if isinstance(record, dict) else None


def _ends_with_newline(file: Path) -> bool:
    with file.open("rb") as stream:
        stream.seek(-1, os.SEEK_END)
        return stream.read(1) == b"\n"


def csv_text(columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> str:
    """Rows as CSV; what is not known is empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: row.get(name) for name in columns} for row in rows)
    return text.getvalue()


def check_new(file: Path | None) -> None:
    """Raise UsageError for a file that is there: nothing measured is overwritten."""
    if file is not None and file.exists():
        raise UsageError(f"{file} is there already: choose another --out")


def write_new(file: Path, text: str) -> None:
    """Write a file that is not there yet, and the folders to it; UsageError where that fails."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("x") as stream:
            stream.write(text)
    except OSError as error:
        raise UsageError(f"cannot write {file}: {error.strerror}") from None


def create(out: Path | None, model: str) -> RunFolder:
    """A new run folder: `out`, or one of the model and the time under ``runs/``."""
    name = f"{model}-{datetime.now(UTC):%Y%m%d-%H%M%S}-{os.getpid()}"
    path = out or Path("runs") / name
    check_free(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot make the run folder {path}: {error.strerror}") from None
    return RunFolder(path)


def check_free(path: Path) -> None:
    """Raise UsageError unless `path` is an empty folder or nothing yet."""
    # what a sweep leaves that was killed as it began
    leavings = (LOCK_FILE, f".{RUN_FILE}.draft")
    empty = path.is_dir() and all(item.name in leavings for item in path.iterdir())
    if path.exists() and not empty:
        raise UsageError(f"{path} is not an empty folder: choose another --out{_to_go_on(path)}")


def _to_go_on(path: Path) -> str:
    if (path / RUN_FILE).exists():
        return f", or go on with the sweep in it: orchestrate sweep --resume {path}"
    if (path / SCENARIO_FILE).exists():
        return f", or go on with the scenario in it: orchestrate scenario run {path} --resume"
    return ""
