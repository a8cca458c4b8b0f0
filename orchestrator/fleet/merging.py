"""What a group measured, taken into the run folder: as if it had been measured here.

An archive is kept in the folder until all of it is there: a run that is killed meanwhile takes it
up again when it goes on.
"""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic_ns

from msgspec.structs import replace

from orchestrator.ask.sweep.cell import Cell
from orchestrator.measure.watcher import Watcher
from orchestrator.results.archive import extract
from orchestrator.results.facts import DatasetFacts, InputFacts, ModelFacts
from orchestrator.results.journal import Journal
from orchestrator.results.records import CellRecord, Drift, FrameRecord, RunRecord
from orchestrator.results.run_folder import PREDICTIONS, PROFILE_FILE, PROFILE_TABLE_FILE, RunFolder
from splitbed.errors import RunError

_ARRIVED, _NUMBER = ".arrived", " #"
_WHOLE = "whole"


@dataclass(frozen=True)
class Merging:
    """Takes archives into the run of a `journal`; `watcher` is told of `cells`, by their keys."""

    journal: Journal
    cells: dict[str, Cell]
    watcher: Watcher

    @property
    def _folder(self) -> RunFolder:
        return self.journal.folder

    def arrived(self, key: str, machine: str, archive: bytes) -> None:
        """Keep and take in what a group's machine sent. Raises RunError, UsageError."""
        kept = self._folder.path / _ARRIVED / f"{key}@{machine}"
        try:
            kept.parent.mkdir(exist_ok=True)
            (draft := kept.with_name(f".{kept.name}")).write_bytes(archive)
            draft.replace(kept)
        except OSError as error:
            raise self._folder.unwritable(f"{_ARRIVED}/{kept.name}", error) from error
        self._take(kept)

    def take_up(self) -> None:
        """Take in what had arrived when an earlier part of the run was killed."""
        for kept in sorted((self._folder.path / _ARRIVED).glob("[!.]*")):
            self._take(kept)

    def _take(self, kept: Path) -> None:
        machine = kept.name.partition("@")[2]
        with _opened(kept) as group:
            if content_of(group.read_run().model) != content_of(self.journal.run.model):
                kept.unlink()  # else a run that goes on would come upon it again
                raise RunError(
                    f"{machine} measured another model or other inputs than this one has: what is "
                    "named by a name, not as a file, must be the same there"
                )
            self._merge(group, machine)
        kept.unlink()
        with suppress(OSError):  # another waits there
            kept.parent.rmdir()

    def _merge(self, group: RunFolder, machine: str) -> None:
        journal, told = self.journal, group.read_run()
        known = {cell.attempt.rpartition(_NUMBER)[0] for cell in self._folder.cells()}
        contents = group.contents()
        for cell in contents.cells:
            if (attempt := f"{cell.attempt} via {machine}") in known:
                continue
            number = f"{journal.count:04}"
            if cell.predictions:
                self._predictions(group, cell.predictions, number)
            ours = replace(
                cell,
                # an attempt that was half taken in has frames that do not count
                attempt=f"{attempt}{_NUMBER}{monotonic_ns()}",
                measured_on=machine,
                predictions=number if cell.predictions else "",
            )
            frames = contents.frames.get(cell.attempt, ())
            self._cell(ours, [replace(one, attempt=ours.attempt) for one in frames])
        self._predictions(group, _WHOLE, _WHOLE)
        self._facts(group, told, machine)

    def _cell(self, cell: CellRecord, frames: Sequence[FrameRecord]) -> None:
        if cell.key in self.cells:
            self.watcher.cell(self.cells[cell.key])
        for frame in frames:
            self.journal.add_frame(frame)
            self.watcher.frame(frame, cell.node_clocks.on_one(frame.stages))
        self.journal.add_cell(cell)
        self.watcher.done(cell)

    def _predictions(self, group: RunFolder, name: str, ours: str) -> None:
        source, target = (one.path / PREDICTIONS for one in (group, self._folder))
        if (source / name).is_dir():
            shutil.copytree(source / name, target / ours, dirs_exist_ok=True)

    def _facts(self, group: RunFolder, told: RunRecord, machine: str) -> None:
        """The conditions there, its profile, whether it drifted; of the first, as the run's own."""
        run = self.journal.run
        profile = group.path / PROFILE_FILE
        if profile.exists():
            self._folder.write_profile(machine, profile.read_text())
            for name in (PROFILE_FILE, PROFILE_TABLE_FILE):
                if not (self._folder.path / name).exists():
                    self._folder.replace(name, (group.path / name).read_text())
        own = replace(told.conditions, command=run.conditions.command)
        first = own if not run.machines else run.conditions
        self.journal.update(
            machines={**run.machines, machine: own},
            conditions=replace(first, started=run.conditions.started),
            whole_accuracy=run.whole_accuracy or told.whole_accuracy,
            most_inputs=run.most_inputs or told.most_inputs,
            drift=most_drifted(run.drift, told.drift),
        )


@contextmanager
def _opened(archive: Path) -> Iterator[RunFolder]:
    """Beside the archive, where there was room for it."""
    with TemporaryDirectory(prefix=".opened-", dir=archive.parent) as folder:
        extract(archive, Path(folder) / "run")
        yield RunFolder(Path(folder) / "run")


def most_drifted(one: Drift | None, other: Drift | None) -> Drift | None:
    """The surest of two: groups are on clocks of their own, and tested each by itself."""
    found = [drift for drift in (one, other) if drift]
    return min(found, key=lambda drift: 2.0 if drift.p is None else drift.p, default=None)


def content_of(model: ModelFacts) -> ModelFacts:
    """A model and its inputs, but for where they lie, and what that calls them."""

    def same(one: InputFacts) -> InputFacts:
        return replace(one, source=None)

    dataset = model.dataset and replace(model.dataset, name="", source=None)
    assert dataset is None or isinstance(dataset, DatasetFacts)
    return replace(model, dataset=dataset, inputs=tuple(map(same, model.inputs)))
