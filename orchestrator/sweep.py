"""A sweep: every split over every link, and the run folder it leaves.

model ──> link up ──> nodes up ──> for each split: load ──> for each link: measure ──> journal
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast

from orchestrator.cell import Cell, CellMeasurement
from orchestrator.conditions import COMPARABLE, conditions, now
from orchestrator.config import SweepConfig, sweep_config
from orchestrator.model import SweptModel
from orchestrator.parts import Parts
from orchestrator.profile import take_profile
from orchestrator.run_folder import (
    PROFILE_FILE,
    PROFILE_TABLE_FILE,
    SUMMARY_FILE,
    Record,
    RunFolder,
    check_free,
    create,
)
from orchestrator.summary import Row, rows, to_csv
from orchestrator.testbed import Testbed, testbed
from orchestrator.verdict import Verdict, judge_run
from splitbed.command import INTERRUPTED
from splitbed.errors import NodeError, RunError, SplitbedError, UsageError
from splitbed.graphs.splits import resolve

NETWORK_ANCHOR, DEVICE_ANCHOR = "network anchor", "device anchor"


class Progress(Protocol):
    """Told how a sweep gets on."""

    def begin(self, cells: Sequence[Cell], layers: int, folder: Path, backend: str) -> None:
        """The cells that will be measured."""

    def note(self, words: str) -> None:
        """Something that the user may wait for, or wonder about."""

    def cell(self, cell: Cell) -> None:
        """A cell begins."""

    def frame(self) -> None:
        """A frame was measured."""

    def done(self, error: str | None) -> None:
        """A cell ended."""


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


def plan_cells(config: SweepConfig, model: SweptModel) -> list[Cell]:
    """The grid: the anchors and the splits, each over every link. Raises UsageError."""
    graph = model.graph
    splits = resolve(graph, config.split, model.named_splits)
    labels = {split.k: split.label for split in splits} | {
        0: NETWORK_ANCHOR,
        graph.n: DEVICE_ANCHOR,
    }
    inner = [split.k for split in splits if 0 < split.k < graph.n]
    links = config.links()
    return [
        Cell(labels[k], graph.cuts[k], link, _delivery_bytes(config, model, k))
        for k in (0, *inner, graph.n)
        for link in links
    ]


def _delivery_bytes(config: SweepConfig, model: SweptModel, k: int) -> int:
    """About what part 1 measures: its share of the parameters, of the file's bytes."""
    if not config.delivery:
        return 0
    share = model.graph.cuts[k].ue_params / max(model.graph.cuts[-1].ue_params, 1)
    return int(share * cast(int, model.facts["bytes"]))


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
    with testbed(config, lambda model: cells.extend(plan_cells(config, model))) as bed:
        folder = RunFolder(resumed) if resumed else create(config.out, bed.model.name)
        with folder.locked():
            _begin(folder, config, bed.model, conditions(bed.pair, bed.link))
            ended = folder.ended()
            todo = [cell for cell in cells if cell.key not in ended]
            progress.begin(todo, bed.model.graph.n, folder.path, bed.link.backend)
            stopped = _Sweeper(config, bed, folder, progress).measure(todo)
            return _end(folder, len(cells), stopped)


def _begin(folder: RunFolder, config: SweepConfig, model: SweptModel, facts: Record) -> None:
    """Write run.json; or see that a resumed run goes on under the conditions that it began with."""
    if not folder.exists:
        asked = config.model_dump(mode="json")
        folder.write_run({"asked": asked, "model": model.facts, "conditions": facts})
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
    folder.write_run(run | {"resumed": [*run.get("resumed", []), facts["started"]]})


def _end(folder: RunFolder, cells: int, stopped: BaseException | None) -> Outcome:
    """Judge what was measured and write it down, as far as the disk lets us."""
    table = rows(folder)
    reason = None if stopped is None else str(stopped) or "the sweep was interrupted"
    verdict = judge_run(table, cells, reason)
    try:
        folder.replace(SUMMARY_FILE, to_csv(table))
        folder.write_run(
            folder.read_run()
            | {"ended": now(), "verdict": verdict.word}
            | {"reasons": verdict.reasons, "advice": verdict.advice}
        )
    except RunError as error:
        stopped = stopped or error
    return Outcome(folder.path, table, verdict, stopped)


class _Sweeper:
    """Measures cells one after another; a cell that fails costs a restart, not the sweep."""

    def __init__(
        self, config: SweepConfig, bed: Testbed, folder: RunFolder, progress: Progress
    ) -> None:
        self._config = config
        self._bed = bed
        self._folder = folder
        self._progress = progress
        self._parts = Parts(bed.pair, config)

    def measure(self, cells: Sequence[Cell]) -> BaseException | None:
        """Measure the cells; gives back what stopped it before the last one."""
        try:
            if cells and self._config.profile:
                self._profile()
            for cell in cells:
                self._bed.interruption.check()
                self._progress.cell(cell)
                error = self._measure(cell)
                self._progress.done(error)
        except OSError as error:
            return RunError(f"{error}: make room, then go on with --resume {self._folder.path}")
        except (SplitbedError, KeyboardInterrupt) as stopped:
            return stopped
        return None

    def _profile(self) -> None:
        """Profile both nodes, unless an earlier part of this run has; a sweep can do without."""
        if (self._folder.path / PROFILE_FILE).exists():
            return
        self._progress.note("profiling both nodes")
        try:
            profile = take_profile(self._config, self._bed.model, self._bed.pair)
        except (NodeError, UsageError) as error:
            self._bed.interruption.check()
            self._progress.note(f"no profile: {error}")
            self._bed.pair.restart()
            return
        self._folder.replace(PROFILE_FILE, profile.model_dump_json(indent=1))
        self._folder.replace(PROFILE_TABLE_FILE, profile.csv())

    def _measure(self, cell: Cell) -> str | None:
        # the device anchor's cut lies behind the last layer: nothing of it crosses the link
        crosses = cell.cut.k < self._bed.model.graph.n
        attempt = f"{cell.key} at {now()} #{time.monotonic_ns()}"
        journal: Record = {
            "key": cell.key,
            "attempt": attempt,
            "split": cell.cut.name,
            "split_name": cell.label,
            "intermediate_tensors": len(cell.cut.tensors) if crosses else 0,
            "intermediate_bytes": cell.cut.nbytes if crosses else 0,
            "link": cell.link.model_dump(),
            "link_backend": self._bed.link.backend,
            "error": None,
        }

        def on_frame(sample: Record) -> None:
            self._folder.add_sample({"attempt": attempt, **sample})
            self._progress.frame()
            self._bed.interruption.check()

        started = time.monotonic()
        try:
            measurement = CellMeasurement(self._bed, self._parts, self._config, cell)
            journal |= measurement.run(len(self._bed.model.inputs), on_frame)
        except NodeError as error:
            self._bed.interruption.check()
            journal["error"] = str(error)
        journal["wall_ms"] = (time.monotonic() - started) * 1e3
        self._folder.add_cell(journal)
        self._folder.replace(SUMMARY_FILE, to_csv(rows(self._folder)))
        if journal["error"]:
            self._parts.forget()
            self._restart()
        return cast(str | None, journal["error"])

    def _restart(self) -> None:
        try:
            self._bed.pair.restart()
        except NodeError:  # a machine that is busy dying may need a second try
            self._bed.pair.restart()
