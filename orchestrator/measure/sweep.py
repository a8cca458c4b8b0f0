"""A sweep: every split over every link, and the run folder it leaves.

model ──> link up ──> nodes up ──> profile, calibrate ──> for each cell, as the seed says:
                 hold its split ──> over its link, with its codec and pace: measure ──> journal
                 ──> what was disturbed once more
"""

from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Literal

from msgspec.structs import replace

from orchestrator.ask.grid import Cell, in_random_order, plan_cells
from orchestrator.ask.sweep_config import SweepConfig, sweep_config
from orchestrator.measure.accuracy import check_classes
from orchestrator.measure.conditions import COMPARABLE, conditions, now
from orchestrator.measure.engine import Engine
from orchestrator.measure.watcher import Watcher
from orchestrator.results.journal import Journal
from orchestrator.results.judgement.verdict import SweepOutcome, Verdict, advised, judge_run
from orchestrator.results.records import RunRecord
from orchestrator.results.run_folder import RunFolder, check_free, create
from orchestrator.results.statistics.drift import drift
from orchestrator.testbed.site import Prepared, prepared
from orchestrator.testbed.testbed import Testbed, testbed
from splitbed.errors import RunError, SplitbedError, UsageError

Remeasure = Literal["invalid"]
"""Which cells of a run that is gone on with are measured again, as if they had not been."""


MOST_AGAIN = 2
"""How often a cell that was disturbed is measured again."""


def read_config(run: Path) -> SweepConfig:
    """What the sweep of an earlier run folder was asked; UsageError when that cannot be told."""
    asked = RunFolder(run).read_run().asked
    if not asked:
        raise UsageError(f"cannot resume {run}: its run.json does not say what was asked")
    return sweep_config({key: value for key, value in asked.items() if value is not None})


def run(
    config: SweepConfig,
    progress: Watcher,
    resumed: Path | None = None,
    remeasure: Remeasure | None = None,
) -> SweepOutcome:
    """Run a sweep, or go on with one: cells that ended without an error are kept.

    With `remeasure`, of these those that are VALID. Raises SplitbedError for what stops it before
    the first cell.
    """
    if config.out and not resumed:
        check_free(config.out)
    with prepared(config) as ready:
        return run_prepared(config, ready, progress, resumed, remeasure)


def run_prepared(
    config: SweepConfig,
    ready: Prepared,
    progress: Watcher,
    resumed: Path | None = None,
    remeasure: Remeasure | None = None,
) -> SweepOutcome:
    """The same, of what was checked and opened before."""
    model = ready.local.model
    check_classes(model)
    cells = plan_cells(config, model)
    with testbed(ready.site, model, config.links) as bed:
        folder = RunFolder(resumed) if resumed else create(config.out, model.name)
        return measure_cells(config, cells, bed, folder, progress, remeasure)


def measure_cells(
    config: SweepConfig,
    cells: Sequence[Cell],
    bed: Testbed,
    folder: RunFolder,
    progress: Watcher,
    remeasure: Remeasure | None = None,
) -> SweepOutcome:
    """Measure those that `folder` does not have yet, in random order, and judge them all.

    Raises UsageError where its cells were measured under other conditions.
    """
    with folder.locked():
        engine = Engine(config, bed, folder, progress)
        groups = in_random_order(cells, config.seed, engine.parts.room)
        facts = conditions(bed.pair, bed.link.backend)
        fresh = RunRecord(
            asked=config.model_dump(mode="json"),
            model=bed.model.facts,
            conditions=facts,
            order=_order_words(config.seed, groups),
            grid=tuple(cell.configuration.key for cell in cells),
        )
        with Journal(folder, _begun(folder, fresh)) as journal:
            kept = journal.valid if remeasure else journal.ended
            todo = [[cell for cell in one if cell.configuration.key not in kept] for one in groups]
            progress.begin([*chain(*todo)], folder.path, bed.link.backend)
            for warning in facts.warnings:
                progress.note(f"warning: {warning}")
            stopped = _measured(engine, todo, groups, journal)
            if isinstance(stopped, SplitbedError):
                progress.stopped(stopped)
            return _end(journal, groups, stopped)


def _order_words(seed: int, groups: Sequence[Sequence[Cell]]) -> str:
    """How run.json says in which order cells were measured."""
    splits = (str(len({cell.configuration.k for cell in group})) for group in groups)
    held = f", {' + '.join(splits)} splits at a time" if len(groups) > 1 else ""
    return f"random (seed {seed}){held}"


def _measured(
    engine: Engine,
    todo: Sequence[Sequence[Cell]],
    groups: Sequence[Sequence[Cell]],
    journal: Journal,
) -> BaseException | None:
    """Measure those to do, then whatever of all cells was disturbed, up to twice.

    Only where not more than half are: a machine that is busy all the time is no quieter later.
    Gives back what stopped it before the last one.
    """
    try:
        for _ in engine.cells(todo, journal):
            pass
        for _ in range(MOST_AGAIN):
            disturbed = journal.disturbed
            again = [[c for c in one if c.configuration.key in disturbed] for one in groups]
            if not disturbed or 2 * len(disturbed) > sum(map(len, groups)):
                break
            engine.watcher.again([*chain(*again)])
            for _ in engine.cells(again, journal):
                pass
    except OSError as error:
        return RunError(f"{error}: make room, then go on with --resume {engine.folder.path}")
    except (SplitbedError, KeyboardInterrupt) as stopped:
        return stopped
    return None


def _begun(folder: RunFolder, fresh: RunRecord) -> RunRecord:
    """The record of a new run, or of one that goes on under the conditions that it began with."""
    if not folder.exists:
        return fresh
    run, facts = folder.read_run(), fresh.conditions
    changed = [k for k in COMPARABLE if getattr(run.conditions, k) != getattr(facts, k)]
    changed += ["model or inputs"] if run.model != fresh.model else []
    # an earlier version did not know all options of today: it had their usual values
    asked = read_config(folder.path).model_dump(mode="json")
    changed += ["options"] if {**asked, "out": None} != {**fresh.asked, "out": None} else []
    if changed:
        raise UsageError(
            f"cannot resume {folder.path}, these have changed since: {', '.join(changed)}; "
            "start a new sweep"
        )
    resumed = (*run.resumed, facts.started or now())
    begun = replace(run, resumed=resumed, ended=None, verdict=None, drift=None)
    return replace(begun, reasons=(), advice=())


def _end(
    journal: Journal, groups: Sequence[Sequence[Cell]], stopped: BaseException | None
) -> SweepOutcome:
    """Judge what was measured and write it down, as far as the disk lets us."""
    run, table = journal.run, journal.rows
    reason = None if stopped is None else str(stopped) or "the sweep was interrupted"
    judged = judge_run(table, sum(map(len, groups)), reason)
    of = {cell.configuration.key: place for place, one in enumerate(groups) for cell in one}
    together = [of[cell.key] for cell in journal.cells]
    found = drift(table, journal.began_ns, together, resumed=bool(run.resumed))
    advice = advised(replace(run, drift=found), table)
    verdict = Verdict(judged.valid, judged.reasons, advice)
    try:
        journal.write_tables()
        journal.update(
            ended=now(), verdict=verdict.word, reasons=verdict.reasons, advice=advice, drift=found
        )
    except RunError as error:
        stopped = stopped or error
    return SweepOutcome(journal.folder.path, table, verdict, stopped)
