"""How much a pair carries: the search of every configuration, and the run folder it leaves.

    closed loop ──> ladder, bisection, five confirming runs ──> row of capacity.csv      (each cell)
                    a run: the load is offered, measured as any cell, judged ──> the next load

A folder of a sweep, whose cells are loads, and besides
capacity.json  what must hold, and what came of it     capacity.csv  a row for each configuration
trials.csv     a line for each run at a load
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from msgspec.structs import replace as changed

from orchestrator.ask.load import Load
from orchestrator.ask.sweep.cell import Cell, Visit
from orchestrator.ask.sweep.options import MIN_FRAMES
from orchestrator.capacity.asked import Capacity
from orchestrator.capacity.rows import capacity_csv, capacity_row, trials_csv
from orchestrator.capacity.search import Search
from orchestrator.capacity.trial import judged
from orchestrator.capacity.words import answers, trial_words
from orchestrator.measure.accuracy import check_classes
from orchestrator.measure.conditions import conditions, now
from orchestrator.measure.dials.finding import check_found, dialled_cells, keep_dials
from orchestrator.measure.engine import Engine
from orchestrator.measure.sweep import begun
from orchestrator.measure.watcher import Watcher
from orchestrator.reports.html import leave_report
from orchestrator.results.columns.measured import measured_row
from orchestrator.results.journal import Journal
from orchestrator.results.judgement.validity import faults_of
from orchestrator.results.judgement.verdict import JudgedRun, Verdict
from orchestrator.results.judgement.words import place_words
from orchestrator.results.kinds import CAPACITY
from orchestrator.results.records import RunRecord
from orchestrator.results.records.capacity import CapacityRecord, CapacityRow, Trial
from orchestrator.results.run_folder import TRIALS_FILE, RunFolder, check_free, create
from orchestrator.results.statistics.measured_visit import MeasuredVisit
from orchestrator.testbed.site import prepared
from orchestrator.testbed.testbed import testbed
from splitbed.errors import RunError, SplitbedError

MOST_TRIES = 3
"""At a run that does not count: it failed as a whole, or a rule of what is measured did."""
MOST_RUNS = 80
"""Of one search: what does not end by then is too noisy to have an answer."""


@dataclass(frozen=True, kw_only=True)
class CapacityOutcome(JudgedRun):
    """What a search leaves."""

    record: CapacityRecord


def run_capacity(asked: Capacity, watcher: Watcher, resumed: Path | None = None) -> CapacityOutcome:
    """Search, or go on with one. Raises SplitbedError for what stops it before the first run."""
    config = asked.config
    if config.out and not resumed:
        check_free(config.out)
    with prepared(config, several=True) as ready:
        model = ready.local.model
        check_classes(model)
        cells, dials = dialled_cells(config, model, watcher.note, resumed)
        cells = asked.searched(cells, model)
        check_found(dials)
        with testbed(ready.site, model, config.flow_links) as bed:
            folder = RunFolder(resumed) if resumed else create(config.out, f"capacity-{model.name}")
            keep_dials(folder, dials)
            with folder.locked():
                engine = Engine(config, bed, folder, watcher)
                fresh = RunRecord(
                    asked=config.model_dump(mode="json"),
                    model=model.facts,
                    conditions=conditions(bed.pair, bed.link.backend),
                    order="as the search asked",
                    power=config.powers,
                )
                with Journal(folder, begun(folder, fresh)) as journal:
                    watcher.note(f"{asked.must_hold.words}; run: {folder.path}")
                    outcome = Searching(asked, cells, engine, journal).measure()
                return leave_report(outcome)


class Searching:
    """Searches one configuration after another, and writes down what is known after each run."""

    def __init__(
        self, asked: Capacity, cells: Sequence[Cell], engine: Engine, journal: Journal
    ) -> None:
        self._asked, self._engine, self._journal = asked, engine, journal
        self._folder = journal.folder
        self._searched = _by_configuration(asked, cells)
        self._trials: list[Trial] = []
        self._rows: list[CapacityRow] = []

    def measure(self) -> CapacityOutcome:
        """All of them; what was measured before an interruption, or a failure, is kept."""
        stopped: BaseException | None = None
        try:
            self._write()
            for key, cells in self._searched.items():
                self._rows.append(self._search(key, cells))
                self._write()
                self._engine.watcher.answer(answers(self._rows[-1:])[0])
        except OSError as error:
            stopped = RunError(f"{error}: make room, then go on with {self._go_on}")
        except (SplitbedError, KeyboardInterrupt) as error:
            stopped = error
        return self._end(stopped)

    @property
    def _go_on(self) -> str:
        return f"orchestrate capacity --resume {self._folder.path}"

    def _search(self, key: str, cells: Sequence[Cell]) -> CapacityRow:
        """One search to its end: of the cells of a configuration, which differ in UEs alone."""
        asked = cells[0].configuration
        row = measured_row(self._journal.run, [self._alone(cells[0])])
        if self._asked.over == "fps":  # a rate of each UE that shares the link
            row = changed(row, ues=len(asked.ues) or 1, link=asked.link_words)
        if row.e2e_ms is None or not row.valid:
            return capacity_row(self._asked, key, row, error=row.reason)
        before_ms = row.preprocess_ms or 0.0
        if broken := self._asked.must_hold.broken_alone(min(row.samples_ms), before_ms):
            bare = capacity_row(self._asked, key, row)
            return changed(bare, bound_by=broken[0], why=broken[1])
        every_ms = (row.e2e_ms + before_ms) * row.ues
        scale = self._asked.counts if self._asked.over == "ues" else self._asked.rates(every_ms)
        search, trials = Search(scale), list[Trial]()
        while (load := search.next()) is not None:
            if len(trials) == MOST_RUNS:
                error = f"after {MOST_RUNS} runs there is none: too noisy"
                return capacity_row(self._asked, key, row, trials=trials, error=error)
            trial = self._trial(key, cells, load, len(search.runs(load)))
            trials.append(trial)
            self._trials.append(trial)
            self._write_trials()
            amount = self._asked.amount(load)
            self._engine.watcher.note(trial_words(place_words(row), amount, trial))
            if trial.held is None:
                error = f"{amount} could not be measured in {MOST_TRIES} tries, {trial.why}"
                return capacity_row(self._asked, key, row, trials=trials, error=error)
            search.tell(load, held=trial.held)
        return capacity_row(self._asked, key, row, search, trials)

    def _alone(self, cell: Cell) -> MeasuredVisit:
        """Frames one after another, of the first UE alone: what the first load goes by."""
        ues = tuple(replace(own, load=None) for own in cell.configuration.ues[:1])
        one = replace(cell.configuration, load=Load(), ues=ues)
        visit, _ = self._visited(Visit(replace(cell, configuration=one, frames=MIN_FRAMES)))
        return visit

    def _trial(self, key: str, cells: Sequence[Cell], load: float, run: int) -> Trial:
        """A run at this load, of which there were `run` before: measured, if it was not yet."""
        asked = self._asked
        cell = cells[int(load) - asked.fewest] if asked.over == "ues" else cells[0]
        fps = load if asked.fps_each is None else asked.fps_each
        offered = replace(cell.configuration, load=asked.load(fps))
        visit, faults = self._visited(
            Visit(replace(cell, configuration=offered, frames=asked.frames(fps)), run)
        )
        return judged(asked.must_hold, key, load, run, visit, faults)

    def _visited(self, visit: Visit) -> tuple[MeasuredVisit, list[str]]:
        """As it was measured, and why it does not count: where it does not, it is made again."""
        for tried in range(MOST_TRIES + 1):
            if (found := self._found(visit)) is not None:
                faults = self._faults(found)
                if not faults or tried == MOST_TRIES:
                    return found, faults
            self._in_grid(visit)
            for _ in self._engine.measure([visit], self._journal):
                pass
        raise AssertionError("a visit that was made is in the journal")

    def _faults(self, visit: MeasuredVisit) -> list[str]:
        """Those of its own. Frames that failed are lost, and no fault: so many may be."""
        run = self._journal.run
        return faults_of(measured_row(run, [visit]), run, visit.cell, visit.clock_fault)

    def _found(self, visit: Visit) -> MeasuredVisit | None:
        return next((one for one in self._journal.visits if one.key == visit.key), None)

    def _in_grid(self, visit: Visit) -> None:
        key, _ = visit.key
        if key not in self._journal.run.grid:
            self._journal.update(grid=(*self._journal.run.grid, key))

    def _write(self) -> None:
        record = changed(self._asked.record(), rows=tuple(self._rows))
        self._folder.replace(CAPACITY.asked_file, record.json(indent=2) + "\n")
        self._folder.replace(CAPACITY.table, capacity_csv(self._rows))
        self._write_trials()

    def _write_trials(self) -> None:
        self._folder.replace(TRIALS_FILE, trials_csv(self._trials))

    def _end(self, stopped: BaseException | None) -> CapacityOutcome:
        reasons = [f"{row.place}: {row.error}" for row in self._rows if row.error]
        if stopped is not None:
            reasons.append(str(stopped) or "the search was interrupted")
        if lacking := len(self._searched) - len(self._rows):
            reasons.append(f"{lacking} of {len(self._searched)} searches did not end")
        verdict = Verdict(not reasons, tuple(reasons), tuple(answers(self._rows)))
        try:
            self._write()
            self._journal.write_tables()
            self._journal.update(
                ended=now(), verdict=verdict.word, reasons=verdict.reasons, advice=verdict.advice
            )
        except RunError as error:
            stopped = stopped or error
        record = changed(self._asked.record(), rows=tuple(self._rows))
        folder = self._folder.path
        return CapacityOutcome(folder=folder, record=record, verdict=verdict, stopped=stopped)


def _by_configuration(asked: Capacity, cells: Sequence[Cell]) -> dict[str, list[Cell]]:
    """The cells of each search, by its name; where numbers of UEs are, the fewest first."""
    found: dict[str, list[Cell]] = {}
    for cell in cells:
        own = replace(cell.configuration, load=Load())
        own = replace(own, ues=()) if asked.over == "ues" else own
        found.setdefault(own.key, []).append(cell)
    return found
