"""The engine: whatever measures hands it visits of cells, and reads typed records back.

profile ──> calibrate codecs ──> for each visit: measure, judge, journal    (sweep, plan --verify)
            calibrate codecs ──> hold all cells ──> frames, as a policy chooses         (trace)
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property

from msgspec.structs import replace

from orchestrator.ask.configuration import Making
from orchestrator.ask.sweep.cell import Cell, Visit
from orchestrator.ask.sweep.config import SweepConfig
from orchestrator.measure.accuracy_set import AccuracySet
from orchestrator.measure.calibration import calibrate, convert, keep_quantised_on
from orchestrator.measure.cell import CellMeasurement, cell_record
from orchestrator.measure.conditions import now
from orchestrator.measure.dials.finding import read_dials
from orchestrator.measure.frames import Choosing, Frames, Taken
from orchestrator.measure.judging import Judging
from orchestrator.measure.profiling.taking import take_outline, take_profile
from orchestrator.measure.time_limits import TimeLimits
from orchestrator.measure.watcher import Watcher
from orchestrator.results.journal import Journal
from orchestrator.results.profile import Profile, read_profile
from orchestrator.results.records import Accuracy, CellRecord, ClockRecord, Dials
from orchestrator.results.run_folder import PROFILE_FILE, PROFILE_TABLE_FILE, RunFolder
from orchestrator.testbed.loading.parts import Parts
from orchestrator.testbed.testbed import Testbed
from splitbed.errors import NodeError, RunError, UsageError


class Engine:
    """Drives one testbed, and writes down what it measures as it goes.

    `outage_s` is the longest time in which the link may carry nothing, and what is sent waits.
    """

    def __init__(
        self,
        config: SweepConfig,
        bed: Testbed,
        folder: RunFolder,
        watcher: Watcher,
        outage_s: float = 0.0,
    ) -> None:
        self.bed = bed
        self.folder = folder
        self.watcher = watcher
        self.limits = TimeLimits.of(config, bed.model, outage_s)
        self.parts = Parts(bed.pair, bed.model, config)
        self._config = config
        self._dials = read_dials(folder.path) if config.target else Dials()
        self._prepared: set[Making] = set()
        """The codecs and parts that need no more before they are measured."""

    @cached_property
    def _judging(self) -> Judging:
        pair, frames = self.bed.pair, self._config.accuracy_frames
        return Judging(self.bed.model, pair.references, self.folder, frames)

    def measure(self, visits: Iterable[Visit], journal: Journal) -> Iterator[CellRecord]:
        """Measure one visit after another, and journal each; one that fails says why.

        The next is asked for when the one before is in the journal, so that it may depend on it.
        A failure costs a restart of the nodes, not the others. Raises SplitbedError,
        KeyboardInterrupt and OSError for what stops it before the last one.
        """
        for visit in visits:
            self.prepare([visit.cell], journal)
            yield self._journalled(visit, journal)

    def prepare(self, cells: Sequence[Cell], journal: Journal) -> None:
        """Profile the nodes, calibrate and judge the codecs of these cells, unless it was done."""
        asked = [one for cell in cells for one in cell.configuration.each]
        if self._prepared.issuperset(new := {one.making for one in asked}):
            return
        if self._config.profile and not self._config.races:
            self._profile()
        self.calibrate(cells)
        self._judging.judge_codecs(lambda: self._accuracy_set, asked, self.parts.known)
        self._judging.keep_whole(journal)
        self._prepared |= new

    def _journalled(self, visit: Visit, journal: Journal) -> CellRecord:
        self.bed.interruption.check()
        self.watcher.cell(visit.cell)
        record = self._cell(visit, journal)
        journal.add_cell(record)
        if record.error is not None and not _misses(record):  # for which no node was asked
            self.parts.forget()
            self.restart()
        self.watcher.done(record)
        return record

    @cached_property
    def _accuracy_set(self) -> AccuracySet:
        check, note = self.bed.interruption.check, self.watcher.note
        return AccuracySet(self._config, self.bed.model, check, note)

    def calibrate(self, cells: Sequence[Cell]) -> None:
        """Have what codecs are told, from an earlier part of this run if it has them."""
        asked = [one for cell in cells for one in cell.configuration.each]
        found = calibrate(
            self._config,
            self.bed.model,
            [both for one in asked for both in one.coding],
            folder=self.folder,
            note=self.watcher.note,
            check=self.bed.interruption.check,
        )
        self.parts.known = found.known
        check, note = self.bed.interruption.check, self.watcher.note
        keep_quantised_on(self._config, self.bed.model, asked, self.folder)
        convert(self._config, self.bed.model, asked, note, check)

    def judged(self, cells: Sequence[Cell]) -> dict[tuple[int, str], Accuracy]:
        """What lossy codecs of these cells cost, by the cut and the codec."""
        asked = [cell.configuration for cell in cells]
        self._judging.judge_codecs(lambda: self._accuracy_set, asked, self.parts.known)
        found = {(one.k, one.codec): self._judging.accuracy_of(one) for one in asked}
        return {key: accuracy for key, accuracy in found.items() if accuracy}

    def hold(self, cells: Sequence[Cell]) -> None:
        """Have all cells open at once, so that each frame may be of another; NodeError."""
        # the device anchor comes last: the pace is measured on the part opened last
        self.parts.hold([cell.configuration for cell in cells])

    def frames(
        self, choosing: Choosing, attempt: str, journal: Callable[[Taken], None]
    ) -> Iterator[Taken]:
        """Frames of cells that are loaded or held, as `choosing` says; see :class:`Frames`."""
        frames = Frames(self.bed, self.parts, self.limits, self.watcher)
        return frames.take(choosing, attempt, journal)

    def restart(self) -> None:
        """Bring both nodes up again; nothing is loaded then. Raises NodeError."""
        self.watcher.note("bringing the nodes back, which is waited for up to a minute")
        try:
            self.bed.pair.restart()
        except NodeError:  # a machine that is busy dying may need a second try
            self.bed.pair.restart()

    def outlined(self) -> Profile:
        """What a race goes by: the whole model on both nodes. Raises RunError where none can be."""
        self.watcher.note("timing the model on the nodes")
        try:
            taken = take_outline(self._config, self.bed.model, self.bed.pair)
        except (NodeError, UsageError) as error:
            self.bed.interruption.check()
            raise RunError(
                f"no cell can be chosen by what is predicted: {error}; measure every cell, without "
                "--budget and --until-sure"
            ) from error
        self.parts.pacing.full_ms = taken.ue.steady_ms
        return taken

    def record(self, visit: Visit, attempt: str) -> CellRecord:
        """What is known of a cell before it is measured."""
        asked = visit.cell.configuration
        crossing = () if asked.cut is None else self.bed.model.graph.cuts[asked.cut].tensors
        found = cell_record(visit, attempt, self.bed.link.backend, crossing)
        dial = self._dials.of(asked.cut, asked.codec)
        return replace(found, dial=dial and replace(dial, tried=()))

    def _profile(self) -> None:
        """Profile the nodes, unless an earlier part of this run has; a sweep can do without."""
        if not (self.folder.path / PROFILE_FILE).exists():
            self.watcher.note("profiling the nodes")
            try:
                taken = take_profile(self._config, self.bed.model, self.bed.pair)
            except (NodeError, UsageError) as error:
                self.bed.interruption.check()
                self.watcher.note(f"no profile: {error}")
                self.bed.pair.restart()
                return
            self.folder.replace(PROFILE_FILE, taken.model_dump_json(indent=1))
            self.folder.replace(PROFILE_TABLE_FILE, taken.csv())
        profile = read_profile(self.folder)
        self.parts.pacing.full_ms = profile.ue.steady_ms if profile else None

    def _cell(self, visit: Visit, journal: Journal) -> CellRecord:
        """Measure one; what goes wrong is in the record."""
        cell, asked = visit.cell, visit.cell.configuration
        attempt = f"{asked.key} at {now()} #{time.monotonic_ns()}"
        record = self.record(visit, attempt)
        judging = self._judging.of_cell(journal.count, asked)
        bench = CellMeasurement(self.bed, self.parts, self._config, self.limits, self.watcher)

        def keep(taken: Taken) -> None:
            journal.add_frame(taken.record)
            if not taken.record.ended:
                return
            if taken.cell.configuration.making == asked.making:
                judging.keep(taken)
            else:  # of a UE that is cut and coded in a way of its own
                judging.frames += 1

        started = time.monotonic()
        try:
            if record.dial and _misses(record):
                raise UsageError(record.dial.missed)
            record = bench.run(cell, record, keep)
            if not asked.lossless:
                record = replace(record, accuracy=judging.accuracy)
        except (NodeError, UsageError) as error:
            self.bed.interruption.check()
            record = replace(record, error=str(error), error_kind=type(error).__name__)
        clocks = self.bed.pair.clocks
        epoch_ns = clocks.ue_epoch_ns if clocks else 0
        models = self.bed.pair.node_clocks().models
        return replace(
            record,
            frames=judging.frames,
            predictions=judging.folder,
            clocks={node: ClockRecord.of(model, epoch_ns) for node, model in models.items()},
            wall_ms=(time.monotonic() - started) * 1e3,
        )


def _misses(record: CellRecord) -> bool:
    """Whether no number of its codec is within what was asked for."""
    return record.dial is not None and bool(record.dial.missed)
