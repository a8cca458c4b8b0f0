"""A sweep on many machines: looked at, given groups, all that comes merged and judged.

numbers and calibration of codecs, found here once ──> groups ──> a fleet ──> one run folder
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from orchestrator.ask.sweep.cell import Cell
from orchestrator.ask.sweep.config import SweepConfig
from orchestrator.ask.topology import Namespaces
from orchestrator.fleet.fleet import Fleet
from orchestrator.fleet.groups import groups_of
from orchestrator.fleet.merging import Merging
from orchestrator.fleet.order import Blob, Order, this_build
from orchestrator.fleet.parcels import Packed, blob_of, packed
from orchestrator.fleet.sending import Machines, Sending
from orchestrator.measure.accuracy import check_classes
from orchestrator.measure.calibration import calibrate, keep_quantised_on
from orchestrator.measure.conditions import git_commit, now
from orchestrator.measure.dials.finding import dialled_cells, keep_dials
from orchestrator.measure.sweep import Remeasure, begun, concluded
from orchestrator.measure.watcher import Watcher
from orchestrator.results.facts import Conditions
from orchestrator.results.journal import Journal
from orchestrator.results.judgement.verdict import SweepOutcome
from orchestrator.results.records import RunRecord
from orchestrator.results.run_folder import (
    CALIBRATION_FILE,
    DIALS_FILE,
    TABLES,
    RunFolder,
    check_free,
    create,
    runs_folder,
)
from orchestrator.testbed.local import local_model
from orchestrator.testbed.model import SweptModel
from splitbed.codecs.fitting import digest
from splitbed.errors import RunError, SplitbedError, UsageError

_SPOOL = ".jobs"  # beside the run


def run_on(
    fleet: Fleet,
    config: SweepConfig,
    progress: Watcher,
    resumed: Path | None = None,
    remeasure: Remeasure | None = None,
) -> SweepOutcome:
    """Run a sweep on a fleet, or go on with one, as :func:`orchestrator.measure.sweep.run` does.

    Raises SplitbedError for what stops it before the first cell.
    """
    check(config, resumed)
    spool = (resumed or config.out or runs_folder() / "run").parent / _SPOOL
    with local_model(config) as local, opened(fleet, spool):
        model = local.model
        check_classes(model)
        cells, found = dialled_cells(config, model, progress.note, resumed)
        asked = _Asked(config, model, cells, remeasure)
        files = packed(config.model_dump(mode="json", exclude_none=True))
        fleet.offer(files.files)
        machines = Machines(fleet, progress)
        machines.look(_looks(files))
        folder = RunFolder(resumed) if resumed else create(config.out, model.name)
        with folder.locked():
            keep_dials(folder, found)
            every = [one for cell in cells for one in cell.configuration.each]
            coding = [both for one in every for both in one.coding]
            calibrate(config, model, coding, folder=folder, note=progress.note)
            keep_quantised_on(config, model, every, folder)
            return _measured(machines, asked, files, folder, progress)


@contextmanager
def opened(fleet: Fleet, spool: Path) -> Iterator[None]:
    """Closed, however it ends."""
    try:
        fleet.open(spool)
        yield
    finally:
        fleet.close()


def check(config: SweepConfig, resumed: Path | None) -> None:
    """Raise UsageError for what one machine alone can do."""
    if config.races:
        raise UsageError(
            "--budget and --until-sure choose the next cell by all before it, on one machine: give "
            "no --on"
        )
    if not isinstance(config.place, Namespaces):
        raise UsageError(
            f"--topology {config.topology} names machines, which measure one cell at a time: give "
            "no --on, or a topology of namespaces"
        )
    if resumed and (before := RunFolder(resumed)).exists and not before.read_run().fleet:
        raise UsageError(f"{resumed} was measured on one machine: go on with it without --on")
    if config.out and not resumed:
        check_free(config.out)


@dataclass(frozen=True)
class _Asked:
    config: SweepConfig
    model: SweptModel
    cells: Sequence[Cell]
    remeasure: Remeasure | None

    def record(self) -> RunRecord:
        """Of a run that begins."""
        config = self.config
        return RunRecord(
            asked=config.model_dump(mode="json"),
            model=self.model.facts,
            conditions=Conditions(started=now(), git_commit=git_commit()),
            order=f"a link at a time on one machine, its cells at random (seed {config.seed})",
            grid=tuple(cell.configuration.key for cell in self.cells),
            traces={word: digest(text.encode()) for word, text in config.traces.items()},
            fleet=uuid4().hex,
        )


def _looks(files: Packed) -> Order:
    return Order(
        key="",
        words="",
        build=this_build(),
        asked={**files.asked, "out": None},
        parcels=tuple(files.parcels.values()),
        looks=True,
    )


def _measured(
    machines: Machines, asked: _Asked, files: Packed, folder: RunFolder, progress: Watcher
) -> SweepOutcome:
    run = begun(folder, asked.record(), comparable=("git_commit",))
    for text in asked.config.traces.values():
        folder.write_trace(text)
    seeds = _seeds(folder)
    machines.fleet.offer({blob.sha256: folder.path / name for name, blob in seeds.items()})
    with Journal(folder, run) as journal:
        cells = {cell.configuration.key: cell for cell in asked.cells}
        merging = Merging(journal, cells, progress)
        merging.take_up()
        again = asked.remeasure is not None
        groups = groups_of(asked.config, asked.cells, run.fleet, files, seeds, remeasure=again)
        kept = journal.valid if again else journal.ended
        todo = [one for one in groups if not kept.issuperset(visit.key for visit in one.visits)]
        progress.begin([cell for one in todo for cell in one.cells], folder.path, "each machine")
        stopped: BaseException | None = None
        try:
            Sending(machines, asked.model, merging, progress).all(todo)
        except OSError as error:
            stopped = RunError(f"{error}: make room, then go on with --resume {folder.path}")
        except (SplitbedError, KeyboardInterrupt) as error:
            stopped = error
        if isinstance(stopped, SplitbedError):
            progress.stopped(stopped)
        return concluded(journal, journal.run.drift, stopped)


def _seeds(folder: RunFolder) -> dict[str, Blob]:
    """The files of the run that say what was found of codecs: every machine is to have the same."""
    tables = sorted((folder.path / TABLES).glob("[!.]*"))
    named = [folder.path / name for name in (CALIBRATION_FILE, DIALS_FILE)]
    return {
        str(file.relative_to(folder.path)): blob_of(file)
        for file in (*named, *tables)
        if file.exists()
    }
