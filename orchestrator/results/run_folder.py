"""The folder of a run, written as things happen, so that nothing measured is ever lost.

    run.json        what was asked and the conditions     samples.jsonl   a line per frame
    cells.jsonl     a line per cell when it ends          summary.csv     a row per ended cell
    profile.json    what both nodes' profiles say         profile.csv     the same, a row per cut
    profiles/       of a run on several machines, those of each
    calibration.json  ranges and frames of the codecs     accuracy.csv    every metric of every row
    dials.json      the codecs' numbers that were searched for
    tables/         what stages of codecs were fitted to, by sha256
    predictions/    a folder per cell (and one for the whole model), a file per picture
    traces/         when frames of a load were due, where a file said so

A cell that was interrupted has lines in samples.jsonl but none in cells.jsonl; it is measured
again under a new attempt, and only the attempt that the journal names counts. Cells are measured in
random order; run.json has the keys of all of them in the order of the grid.
"""

import fcntl
import json
import os
import re
import shutil
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

from orchestrator.results.json_record import Record, json_text
from orchestrator.results.kinds import CAPACITY, RUN_FILE, SWEEP, check_sweep, kind_in
from orchestrator.results.line_file import LineFile
from orchestrator.results.records import SCHEMA, CellRecord, FrameRecord, RunRecord
from orchestrator.results.records.capacity import CapacityRecord
from splitbed.codecs.fitting import digest
from splitbed.errors import RunError, UsageError
from splitbed.media.files import opened

SAMPLES_FILE, CELLS_FILE = "samples.jsonl", "cells.jsonl"
SUMMARY_FILE, LOCK_FILE = "summary.csv", ".lock"
UES_FILE, RESOURCES_FILE = "ues.csv", "resources.csv"
TRIALS_FILE = "trials.csv"
MOST_LINE_BYTES = 16 << 20
"""Of a line that is read; what goes on beyond is read as the next, and is damage."""
PROFILE_FILE, PROFILE_TABLE_FILE = "profile.json", "profile.csv"
CALIBRATION_FILE, ACCURACY_FILE = "calibration.json", "accuracy.csv"
PREDICTIONS, PROFILES, TABLES, TRACES = "predictions", "profiles", "tables", "traces"
DIALS_FILE = "dials.json"
_SHA256 = re.compile("[0-9a-f]{64}")
SCENARIO_FILE = "scenario.yaml"  # in the folder above, where a scenario runs the sweep

_Kept = TypeVar("_Kept", bound=Record)


@dataclass(frozen=True)
class Contents:
    """What a run has measured: frames by the attempt at a cell, cells in the order of measurement.

    ``damage`` says in words which lines are no records and are left out.
    """

    frames: dict[str, list[FrameRecord]]
    cells: list[CellRecord]
    damage: tuple[str, ...]


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

    def write_run(self, run: RunRecord) -> None:
        """Replace run.json as a whole: a reader sees the old one or the new one."""
        self.replace(RUN_FILE, run.json(indent=2) + "\n")

    def read_run(self) -> RunRecord:
        """What run.json holds; UsageError when it is not there, damaged, or of a newer schema."""
        file = self.path / RUN_FILE
        try:
            told = dict(json.loads(json_text(file)))
            schema = int(told.get("schema", SCHEMA))
            if schema <= SCHEMA:
                return RunRecord.from_plain({k: v for k, v in told.items() if v is not None})
        except OSError as error:
            check_sweep(self.path, self.path)
            raise UsageError(
                f"{self.path} is no run: its {RUN_FILE} cannot be read ({error.strerror}); "
                "give the folder that an earlier sweep wrote"
            ) from None
        except (ValueError, TypeError, RecursionError):
            raise UsageError(
                f"{self.path} is no run: its {RUN_FILE} is damaged; have it from a backup, or from "
                "an archive of `orchestrate pack`"
            ) from None
        raise UsageError(
            f"{file} was made by a newer Splitbed: it has schema {schema}, this one reads up "
            f"to {SCHEMA}; install the newer one"
        )

    def read_capacity(self) -> CapacityRecord | None:
        """What it carries, where that was searched; UsageError where it cannot be read."""
        file = self.path / CAPACITY.asked_file
        try:
            return CapacityRecord.from_json(json_text(file)) if file.exists() else None
        except (OSError, ValueError):
            raise UsageError(f"{file} is damaged; have it from a backup, or search anew") from None

    def frames(self, first_byte: int = 0) -> Iterator[FrameRecord]:
        """Every frame, in the order of measurement; those that begin there or later in the file."""
        return self.kept(SAMPLES_FILE, FrameRecord, [], first_byte)

    @property
    def frames_bytes(self) -> int:
        """How long the file of frames is."""
        file = self.path / SAMPLES_FILE
        return file.stat().st_size if file.exists() else 0

    def cells(self) -> Iterator[CellRecord]:
        """Every ended cell, in the order of measurement."""
        return self.kept(CELLS_FILE, CellRecord, [])

    def contents(self) -> Contents:
        """Both, each file read once."""
        damage: list[str] = []
        frames: dict[str, list[FrameRecord]] = defaultdict(list)
        for frame in self.kept(SAMPLES_FILE, FrameRecord, damage):
            frames[frame.attempt].append(frame)
        cells = [*self.kept(CELLS_FILE, CellRecord, damage)]
        return Contents(dict(frames), cells, tuple(damage))

    def append(self, name: str, line: bytes) -> None:
        """Append one line to the file `name`."""
        try:
            with LineFile(self.path / name) as file:
                file.add(line)
        except OSError as error:
            raise self.unwritable(name, error) from error

    def replace(self, name: str, text: str) -> None:
        """Write the file `name` as a whole, or leave it as it was."""
        draft = self.path / f".{name}.draft"
        try:
            draft.write_text(text)
            draft.replace(self.path / name)
        except OSError as error:
            draft.unlink(missing_ok=True)
            raise self.unwritable(name, error) from error

    def keep_tables(self, table: bytes) -> str:
        """Write what a stage of a codec was fitted to; gives its sha256, by which it is found."""
        name = digest(table)
        folder = self.path / TABLES
        try:
            folder.mkdir(exist_ok=True)
            (draft := folder / f".{name}.draft").write_bytes(table)
            draft.replace(folder / name)
        except OSError as error:
            raise self.unwritable(f"{TABLES}/{name}", error) from error
        return name

    def read_tables(self, name: str) -> bytes:
        """Those of this sha256, as they are there. Raises OSError."""
        with opened(self._named(TABLES, name)) as file:
            return file.read()

    def write_prediction(self, cell: str, name: str, text: str) -> None:
        """Write what was found in one picture, over what was found there before."""
        self._write_below(f"{PREDICTIONS}/{cell}", name, text)

    def write_profile(self, machine: str, text: str) -> None:
        """Write what the nodes of one of several machines took."""
        self._write_below(PROFILES, f"{machine}.json", text)

    def write_trace(self, text: str) -> str:
        """Write the times of a load; gives their sha256, by which they are found."""
        name = digest(text.encode())
        self._write_below(TRACES, name, text)
        return name

    def loads_kept(self) -> dict[str, object]:
        """The option `load` of the run, its traces as the folder keeps them; none where none was.

        Raises UsageError.
        """
        run = self.read_run()
        words = run.asked.get("load")
        if not isinstance(words, list):
            return {}
        try:
            kept = {word: self._named(TRACES, name) for word, name in run.traces.items()}
        except OSError as error:
            raise UsageError(f"{self.path} is damaged: {error}") from None
        said = map(str, words)
        return {"load": [f"trace:{kept[one]}" if one in kept else one for one in said]}

    def _named(self, folder: str, name: str) -> Path:
        """A file called by the sha256 of what is in it; FileNotFoundError for another name."""
        if not _SHA256.fullmatch(name):
            raise FileNotFoundError(f"no {folder} are called {name[:70]!r}")
        return self.path / folder / name

    def _write_below(self, folder: str, name: str, text: str) -> None:
        try:
            (self.path / folder).mkdir(parents=True, exist_ok=True)
            (self.path / folder / name).write_text(text)
        except OSError as error:
            raise self.unwritable(f"{folder}/{name}", error) from error

    def drop_predictions(self, cell: str) -> None:
        """Remove what an interrupted attempt left."""
        shutil.rmtree(self.path / PREDICTIONS / cell, ignore_errors=True)

    def unwritable(self, name: str, error: OSError) -> RunError:
        """What to tell of a file of the folder that cannot be written."""
        kind = kind_in(self.path) or SWEEP
        return RunError(
            f"cannot write {self.path / name}: {error.strerror}; what was measured before is "
            "readable there: make room and go on with "
            f"`orchestrate {kind.command} --resume {self.path}`"
        )

    def kept(
        self, name: str, kind: type[_Kept], damage: list[str], first_byte: int = 0
    ) -> Iterator[_Kept]:
        """The lines of a file; what is no such record, as half a line is, is told to `damage`."""
        file = self.path / name
        if not file.exists():
            return
        with opened(file) as stream:
            stream.seek(first_byte)
            lines = iter(partial(stream.readline, MOST_LINE_BYTES), b"")
            for place, line in enumerate(lines, 1):
                try:
                    yield kind.from_json(line)
                except ValueError:
                    damage.append(f"{file}, line {place}, is damaged and left out")


def runs_folder() -> Path:
    """Where a run goes for which no folder is told: $SPLITBED_RUNS, else ``runs/`` here."""
    return Path(os.environ.get("SPLITBED_RUNS") or "runs")


def create(out: Path | None, model: str) -> RunFolder:
    """A new run folder: `out`, or one of the model and the time in :func:`runs_folder`."""
    name = f"{model}-{datetime.now(UTC):%Y%m%d-%H%M%S}-{os.getpid()}"
    path = out or runs_folder() / name
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
    if kind := kind_in(path):
        return f", or go on with what is in it: orchestrate {kind.command} --resume {path}"
    if (path / SCENARIO_FILE).exists() and any(map(kind_in, path.glob("*/"))):
        return f", or go on with the scenario in it: orchestrate scenario run {path} --resume"
    return ""
