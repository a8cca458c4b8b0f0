"""A sweep: every split over every link, and the run folder it leaves.

model ──> link up ──> nodes up ──> profile, calibrate ──> visits of cells, as the seed says:
                 hold its split ──> over its link, with its codec and pace: measure ──> journal
                 ──> visits of what was disturbed once more
"""

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Literal

from msgspec.structs import replace

from orchestrator.ask.sweep.cell import Cell, Visit
from orchestrator.ask.sweep.config import SweepConfig, sweep_config
from orchestrator.ask.sweep.order import anchors_again, in_random_order
from orchestrator.measure.accuracy import check_classes
from orchestrator.measure.conditions import COMPARABLE, conditions, now
from orchestrator.measure.dials.finding import dialled_cells, keep_dials
from orchestrator.measure.engine import Engine
from orchestrator.measure.racing.again import disturbed_again
from orchestrator.measure.racing.beliefs import Prediction
from orchestrator.measure.racing.visits import Forecast, Racing
from orchestrator.measure.watcher import Watcher
from orchestrator.results.journal import Journal
from orchestrator.results.judgement.raced import nothing_raced
from orchestrator.results.judgement.verdict import SweepOutcome, Verdict, advised, judge_run
from orchestrator.results.profile import Profile
from orchestrator.results.records import Drift, RunRecord
from orchestrator.results.run_folder import RunFolder, check_free, create
from orchestrator.results.statistics.drift import drift
from orchestrator.testbed.local import LocalModel
from orchestrator.testbed.model import Known
from orchestrator.testbed.site import Prepared, prepared
from orchestrator.testbed.testbed import Testbed, testbed
from splitbed.codecs.fitting import digest
from splitbed.errors import RunError, SplitbedError, UsageError

Remeasure = Literal["invalid"]
"""Which cells of a run that is gone on with are measured again, as if they had not been."""


Predicting = Callable[
    [SweepConfig, LocalModel, Callable[[str], None], Profile, Sequence[Cell], Known],
    Mapping[str, Prediction],
]
"""Predicts the times of cells from a profile, by their keys; is told what to say meanwhile."""


def read_config(run: Path) -> SweepConfig:
    """What the sweep of an earlier run folder was asked; UsageError when that cannot be told."""
    folder = RunFolder(run)
    asked = folder.read_run().asked
    if not asked:
        raise UsageError(f"cannot resume {run}: its run.json does not say what was asked")
    asked = {**asked, **folder.loads_kept()}
    return sweep_config({key: value for key, value in asked.items() if value is not None})


def run(
    config: SweepConfig,
    progress: Watcher,
    resumed: Path | None = None,
    remeasure: Remeasure | None = None,
    predicting: Predicting | None = None,
    dials: Path | None = None,
) -> SweepOutcome:
    """Run a sweep, or go on with one: cells that ended without an error are kept.

    With `remeasure`, of these those that are VALID. A race takes `predicting`. The folder `dials`
    has what an earlier run found of codecs' numbers. Raises SplitbedError for what stops it before
    the first cell.
    """
    if config.out and not resumed:
        check_free(config.out)
    began_s = time.monotonic()
    with prepared(config, several=True) as ready:
        if not config.races or predicting is None:
            return run_prepared(config, ready, progress, resumed, remeasure, dials=dials)
        forecast = partial(predicting, config, ready.local, progress.note)
        return run_prepared(config, ready, progress, resumed, remeasure, (forecast, began_s))


def run_prepared(
    config: SweepConfig,
    ready: Prepared,
    progress: Watcher,
    resumed: Path | None = None,
    remeasure: Remeasure | None = None,
    race: tuple[Forecast, float] | None = None,
    dials: Path | None = None,
) -> SweepOutcome:
    """The same, of what was checked and opened before."""
    if config.races and race is None:
        raise UsageError("budget and until_sure are for `orchestrate sweep`: leave them out")
    model = ready.local.model
    check_classes(model)
    cells, found = dialled_cells(config, model, progress.note, resumed or dials)
    with testbed(ready.site, model, config.flow_links) as bed:
        folder = RunFolder(resumed) if resumed else create(config.out, model.name)
        keep_dials(folder, found)
        return measure_cells(config, cells, bed, folder, progress, remeasure, race)


def measure_cells(
    config: SweepConfig,
    cells: Sequence[Cell],
    bed: Testbed,
    folder: RunFolder,
    progress: Watcher,
    remeasure: Remeasure | None = None,
    race: tuple[Forecast, float] | None = None,
) -> SweepOutcome:
    """Measure those that `folder` does not have yet, in random order, and judge them all.

    Or as a `race` chooses, which a forecast and the time at which its budget began make.

    Raises UsageError where its cells were measured under other conditions.
    """
    with folder.locked():
        engine = Engine(config, bed, folder, progress)
        groups = in_random_order(cells, config.seed, engine.parts.room, config.blocks)
        visits = [*chain(*groups), *([] if race else anchors_again(cells, config.blocks))]
        facts = conditions(bed.pair, bed.link.backend)
        fresh = RunRecord(
            asked=config.model_dump(mode="json"),
            model=bed.model.facts,
            conditions=facts,
            order="raced" if race else _order_words(config, groups),
            grid=tuple(cell.configuration.key for cell in cells),
            power=config.powers,
            traces={word: digest(text.encode()) for word, text in config.traces.items()},
        )
        run = begun(folder, fresh)
        for text in config.traces.values():
            folder.write_trace(text)
        with Journal(folder, run) as journal:
            kept = journal.valid if remeasure else journal.ended
            todo = [visit for visit in visits if visit.key not in kept]
            begins = progress.race if race else progress.begin
            begins([visit.cell for visit in todo], folder.path, bed.link.backend)
            for warning in facts.warnings:
                progress.note(f"warning: {warning}")
            tried = {visit.key for visit in journal.visits}
            failed = [visit for visit in todo if visit.key in tried]
            racing = Racing(config, cells, engine, journal, failed, *race) if race else None
            stopped = _measured(engine, todo, visits, journal, racing)
            if isinstance(stopped, SplitbedError):
                progress.stopped(stopped)
            return _end(journal, groups, stopped)


def _order_words(config: SweepConfig, groups: Sequence[Sequence[Visit]]) -> str:
    """How run.json says in which order cells were measured."""
    first = [group for group in groups if group[0].block == 0]
    splits = (str(len({visit.cell.configuration.cuts for visit in group})) for group in first)
    held = f", {' + '.join(splits)} splits at a time" if len(first) > 1 else ""
    again = f", in each of {config.blocks} blocks anew" if config.blocks > 1 else ""
    return f"random (seed {config.seed}){held}{again}, the anchors once more at the end"


def _measured(
    engine: Engine,
    todo: Sequence[Visit],
    visits: Sequence[Visit],
    journal: Journal,
    racing: Racing | None,
) -> BaseException | None:
    """Measure those to do, then whatever of all was disturbed; what stopped it before the last."""
    try:
        if racing is None:
            engine.prepare([visit.cell for visit in todo], journal)
        again = disturbed_again(visits, journal, engine.watcher)
        chosen = racing.visits() if racing else chain(todo, again)
        for _ in engine.measure(chosen, journal):
            pass
    except OSError as error:
        return RunError(f"{error}: make room, then go on with --resume {engine.folder.path}")
    except (SplitbedError, KeyboardInterrupt) as stopped:
        return stopped
    return None


def begun(folder: RunFolder, fresh: RunRecord, comparable: Sequence[str] = COMPARABLE) -> RunRecord:
    """The record of a new run, or of one that goes on under the conditions that it began with."""
    if not folder.exists:
        return fresh
    run, facts = folder.read_run(), fresh.conditions
    if folder.read_run().fleet and not fresh.fleet:
        raise UsageError(f"{folder.path} is measured on many machines: go on with it by --on")
    changed = [k for k in comparable if getattr(run.conditions, k) != getattr(facts, k)]
    changed += ["model or inputs"] if run.model != fresh.model else []
    # an earlier version did not know all options of today: it had their usual values
    asked = read_config(folder.path).model_dump(mode="json")
    changed += ["options"] if {**asked, "out": None} != {**fresh.asked, "out": None} else []
    changed += ["the trace of a load"] if {*run.traces.values()} - {*fresh.traces.values()} else []
    if changed:
        raise UsageError(
            f"cannot resume {folder.path}, these have changed since: {', '.join(changed)}; "
            "start a new sweep"
        )
    resumed = (*run.resumed, facts.started or now())
    begun = replace(run, resumed=resumed, ended=None, verdict=None, drift=None)
    return replace(begun, reasons=(), advice=(), raced=(), predicted=())


def _end(
    journal: Journal, groups: Sequence[Sequence[Visit]], stopped: BaseException | None
) -> SweepOutcome:
    """Judge what was measured, and whether the nodes drifted meanwhile."""
    of = {visit.key: place for place, one in enumerate(groups) for visit in one}
    # the anchors at the end are not there by chance, which the test of a drift takes for granted
    both = zip(journal.visits, journal.visit_rows, strict=True)
    drawn = [(visit, row) for visit, row in both if visit.key in of]
    together = [of[visit.key] for visit, _ in drawn]
    began_ns = [visit.began_ns for visit, _ in drawn]
    resumed = bool(journal.run.resumed)
    found = drift([row for _, row in drawn], began_ns, together, resumed=resumed)
    return concluded(journal, found, stopped)


def concluded(journal: Journal, found: Drift | None, stopped: BaseException | None) -> SweepOutcome:
    """Judge what was measured, and write it down as far as the disk lets us."""
    run, table = journal.run, journal.rows
    reason = None if stopped is None else str(stopped) or "the sweep was interrupted"
    reason = reason or nothing_raced(run, table)
    judged = judge_run(table, run.cells_asked, reason)
    advice = advised(replace(run, drift=found), table)
    verdict = Verdict(judged.valid, judged.reasons, advice)
    try:
        journal.write_tables()
        journal.update(
            ended=now(), verdict=verdict.word, reasons=verdict.reasons, advice=advice, drift=found
        )
    except RunError as error:
        stopped = stopped or error
    return SweepOutcome(
        folder=journal.folder.path,
        rows=table,
        verdict=verdict,
        stopped=stopped,
        every=journal.every,
    )
