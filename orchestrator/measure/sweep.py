"""A sweep: every split over every link, and the run folder it leaves.

model ──> link up ──> nodes up ──> for each split: load ──> for each link: measure ──> journal
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from orchestrator.ask.config import SweepConfig, sweep_config
from orchestrator.ask.grid import Cell, in_random_order, plan_cells
from orchestrator.cli.progress import Progress
from orchestrator.measure.accuracy import check_classes
from orchestrator.measure.conditions import COMPARABLE, conditions, now
from orchestrator.measure.sweeper import Sweeper
from orchestrator.reports.html import write_report
from orchestrator.results.drift import drift
from orchestrator.results.rows import Row
from orchestrator.results.run_folder import (
    SUMMARY_FILE,
    Record,
    RunFolder,
    check_free,
    create,
)
from orchestrator.results.summary import rows, to_csv
from orchestrator.results.verdict import Verdict, judge_run
from orchestrator.testbed.model import SweptModel
from orchestrator.testbed.testbed import testbed
from splitbed.command import INTERRUPTED
from splitbed.errors import RunError, SplitbedError, UsageError

_OF_THE_END = ("ended", "verdict", "reasons", "advice", "drift")


@dataclass(frozen=True)
class Outcome:
    """What a sweep leaves; `stopped` is what ended it before its last cell."""

    folder: Path
    rows: list[Row]
    verdict: Verdict
    stopped: BaseException | None

    @property
    def exit_code(self) -> int:
        """0 for a VALID run, 1 for an INVALID one, else what the cause of the stop asks for."""
        match self.stopped:
            case SplitbedError() as error:
                return error.exit_code
            case KeyboardInterrupt():
                return INTERRUPTED
        return 0 if self.verdict.valid else RunError.exit_code


def read_config(run: Path) -> SweepConfig:
    """What the sweep of an earlier run folder was asked; UsageError when that cannot be told."""
    asked = RunFolder(run).read_run().get("asked")
    if not isinstance(asked, dict):
        raise UsageError(f"cannot resume {run}: its run.json does not say what was asked")
    return sweep_config({key: value for key, value in asked.items() if value is not None})


def run(config: SweepConfig, progress: Progress, resumed: Path | None = None) -> Outcome:
    """Run a sweep, or go on with one: cells that ended without an error are kept.

    Raises SplitbedError for what stops it before the first cell.
    """
    if config.out and not resumed:
        check_free(config.out)
    cells: list[Cell] = []

    def plan(model: SweptModel) -> None:
        check_classes(model)
        cells.extend(plan_cells(config, model))

    with testbed(config, plan) as bed:
        folder = RunFolder(resumed) if resumed else create(config.out, bed.model.name)
        with folder.locked():
            facts = conditions(bed.pair, bed.link.backend)
            _begin(folder, config, bed.model, facts, [cell.key for cell in cells])
            ended = folder.ended()
            ordered = in_random_order(cells, config.seed)
            todo = [cell for cell in ordered if cell.key not in ended]
            progress.begin(todo, folder.path, bed.link.backend)
            for warning in cast(list[str], facts["warnings"]):
                progress.note(f"warning: {warning}")
            stopped = Sweeper(config, bed, folder, progress).measure(todo)
            if isinstance(stopped, SplitbedError):
                progress.stopped(stopped)
            return _end(folder, len(cells), stopped, progress)


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


def _end(
    folder: RunFolder, cells: int, stopped: BaseException | None, progress: Progress
) -> Outcome:
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
        write_report(folder.path)
    except RunError as error:
        stopped = stopped or error
    except (SplitbedError, OSError) as error:  # a run is not lost for want of its report
        progress.note(f"no report: {error}")
    return Outcome(folder.path, table, verdict, stopped)
