"""A sweep: every split over every link, and the run folder it leaves.

model ──> link up ──> nodes up ──> for each split: load ──> for each link: measure ──> journal
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

from orchestrator.ask.config import SweepConfig, sweep_config
from orchestrator.ask.grid import Cell, in_random_order, plan_cells
from orchestrator.measure.accuracy import check_classes
from orchestrator.measure.conditions import COMPARABLE, conditions, now
from orchestrator.measure.engine import Engine
from orchestrator.measure.watcher import Watcher
from orchestrator.results.drift import drift
from orchestrator.results.outcome import SweepOutcome
from orchestrator.results.run_folder import (
    SUMMARY_FILE,
    Record,
    RunFolder,
    check_free,
    create,
)
from orchestrator.results.summary import rows, to_csv
from orchestrator.results.verdict import judge_run
from orchestrator.testbed.model import SweptModel
from orchestrator.testbed.site import Prepared, prepared
from orchestrator.testbed.testbed import Testbed, testbed
from splitbed.errors import RunError, SplitbedError, UsageError

_OF_THE_END = ("ended", "verdict", "reasons", "advice", "drift")


def read_config(run: Path) -> SweepConfig:
    """What the sweep of an earlier run folder was asked; UsageError when that cannot be told."""
    asked = RunFolder(run).read_run().get("asked")
    if not isinstance(asked, dict):
        raise UsageError(f"cannot resume {run}: its run.json does not say what was asked")
    return sweep_config({key: value for key, value in asked.items() if value is not None})


def run(config: SweepConfig, progress: Watcher, resumed: Path | None = None) -> SweepOutcome:
    """Run a sweep, or go on with one: cells that ended without an error are kept.

    Raises SplitbedError for what stops it before the first cell.
    """
    if config.out and not resumed:
        check_free(config.out)
    with prepared(config) as ready:
        return run_prepared(config, ready, progress, resumed)


def run_prepared(
    config: SweepConfig, ready: Prepared, progress: Watcher, resumed: Path | None = None
) -> SweepOutcome:
    """The same, of what was checked and opened before."""
    model = ready.local.model
    check_classes(model)
    cells = plan_cells(config, model)
    with testbed(ready.site, model, config.links) as bed:
        folder = RunFolder(resumed) if resumed else create(config.out, model.name)
        return measure_cells(config, cells, bed, folder, progress)


def measure_cells(
    config: SweepConfig, cells: Sequence[Cell], bed: Testbed, folder: RunFolder, progress: Watcher
) -> SweepOutcome:
    """Measure those that `folder` does not have yet, in random order, and judge them all.

    Raises UsageError where its cells were measured under other conditions.
    """
    with folder.locked():
        keys = [cell.configuration.key for cell in cells]
        facts = conditions(bed.pair, bed.link.backend)
        _begin(folder, config, bed.model, facts, keys)
        ended = folder.ended()
        ordered = in_random_order(cells, config.seed)
        todo = [cell for cell in ordered if cell.configuration.key not in ended]
        progress.begin(todo, folder.path, bed.link.backend)
        for warning in cast(list[str], facts["warnings"]):
            progress.note(f"warning: {warning}")
        stopped = _measured(Engine(config, bed, folder, progress), todo)
        if isinstance(stopped, SplitbedError):
            progress.stopped(stopped)
        return _end(folder, len(cells), stopped)


def _measured(engine: Engine, cells: Sequence[Cell]) -> BaseException | None:
    """Measure the cells; gives back what stopped it before the last one."""
    try:
        for _ in engine.cells(cells):
            pass
    except OSError as error:
        return RunError(f"{error}: make room, then go on with --resume {engine.folder.path}")
    except (SplitbedError, KeyboardInterrupt) as stopped:
        return stopped
    return None


def _begin(
    folder: RunFolder, config: SweepConfig, model: SweptModel, facts: Record, grid: list[str]
) -> None:
    """Write run.json; or see that a resumed run goes on under the conditions that it began with."""
    if not folder.exists:
        asked = config.model_dump(mode="json")
        folder.write_run(
            {"asked": asked, "model": model.facts, "conditions": facts}
            | {"order": f"random (seed {config.seed})", "grid": grid}
        )
        return
    run = folder.read_run()
    before = run.get("conditions", {})
    changed = [key for key in COMPARABLE if before.get(key) != facts[key]]
    changed += ["model or inputs"] if run.get("model") != model.facts else []
    asked = {**run.get("asked", {}), "out": None}
    changed += ["options"] if asked != config.model_dump(mode="json") | {"out": None} else []
    if changed:
        raise UsageError(
            f"cannot resume {folder.path}, these have changed since: {', '.join(changed)}; "
            "start a new sweep"
        )
    run = {name: value for name, value in run.items() if name not in _OF_THE_END}
    folder.write_run(run | {"resumed": [*run.get("resumed", []), facts["started"]]})


def _end(folder: RunFolder, cells: int, stopped: BaseException | None) -> SweepOutcome:
    """Judge what was measured and write it down, as far as the disk lets us."""
    table = rows(folder)
    reason = None if stopped is None else str(stopped) or "the sweep was interrupted"
    warnings = folder.read_run()["conditions"].get("warnings", ())
    verdict = judge_run(table, cells, reason)
    found = drift(folder, table)
    verdict = replace(verdict, advice=(*verdict.advice, *found.advice, *warnings))
    try:
        folder.replace(SUMMARY_FILE, to_csv(table))
        folder.write_run(
            folder.read_run()
            | {"ended": now(), "verdict": verdict.word}
            | {"reasons": verdict.reasons, "advice": verdict.advice, "drift": found.record()}
        )
    except RunError as error:
        stopped = stopped or error
    return SweepOutcome(folder.path, table, verdict, stopped)
