"""Models in transit, whole, in increments or split by split, for programs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Unpack

from orchestrator.api.options import Place
from orchestrator.api.options.transit import GrowthWords, IncrementsWords, ModelSweepWords
from orchestrator.api.signature import spelled_out
from orchestrator.api.torch_model import ModelLike, model_file
from orchestrator.ask.sweep.config import SweepConfig
from orchestrator.results.run_folder import RunFolder
from orchestrator.scenarios.transit.clause_10_6 import leave
from orchestrator.transit.asked import ModelSweep
from orchestrator.transit.asked import model_sweep as asked_for
from orchestrator.transit.growth.row import GrowthRow
from orchestrator.transit.growth.run import growth_config, resumed_growth, run_growth
from orchestrator.transit.increments.asked import Incremental, incremental
from orchestrator.transit.increments.row import IncrementRow
from orchestrator.transit.increments.run import resumed_incremental, run_incremental
from orchestrator.transit.outcome import Outcome, Told
from orchestrator.transit.row import ModelRow
from orchestrator.transit.run import resumed_sweep, run_model_sweep
from splitbed.errors import UsageError


@spelled_out(ModelSweepWords)
def model_sweep(
    model: ModelLike | None = None,
    *,
    example_inputs: object = None,
    resume: Place | None = None,
    progress: Told = lambda _: None,
    **options: Unpack[ModelSweepWords],
) -> Outcome[ModelRow]:
    """Send a model over every link as coders compress it; `orchestrate model-sweep` says more.

    `resume` is the folder of one to go on with, which takes no other options. `progress` is told
    in words what goes on. What is wrong with a row stands in it; UsageError, MachineError and
    RunError are of what stops all of it.
    """
    wanted = sweep_or_resumed(model_file(model, example_inputs), resume, options)
    return run_model_sweep(wanted, progress, Path(resume) if resume else None)


@spelled_out(IncrementsWords)
def increments(
    model: ModelLike | None = None,
    *,
    example_inputs: object = None,
    resume: Place | None = None,
    progress: Told = lambda _: None,
    **options: Unpack[IncrementsWords],
) -> Outcome[IncrementRow]:
    """Send a coarse model first and refine it; `orchestrate increments` says more.

    `resume`, `progress` and errors are as those of :func:`model_sweep`.
    """
    wanted = increments_or_resumed(model_file(model, example_inputs), resume, options)
    return run_increments(wanted, progress, Path(resume) if resume else None)


@spelled_out(GrowthWords)
def grow(
    model: ModelLike | None = None,
    *,
    example_inputs: object = None,
    resume: Place | None = None,
    progress: Told = lambda _: None,
    **options: Unpack[GrowthWords],
) -> Outcome[GrowthRow]:
    """Have part 1 grow on the UE while frames go on; `orchestrate grow` says more.

    `resume`, `progress` and errors are as those of :func:`model_sweep`.
    """
    wanted = growth_or_resumed(model_file(model, example_inputs), resume, options)
    return run_growth(wanted, progress, Path(resume) if resume else None)


def sweep_or_resumed(
    model: Place | None, resume: Place | None, options: Mapping[str, object]
) -> ModelSweep:
    """What a model sweep is asked for, or was, where one is gone on with. Raises UsageError."""
    if resume is None:
        return asked_for({**options, "model": model})
    _check_alone(model, options)
    return resumed_sweep(Path(resume))


def increments_or_resumed(
    model: Place | None, resume: Place | None, options: Mapping[str, object]
) -> Incremental:
    """The same of increments."""
    if resume is None:
        return incremental({**options, "model": model})
    _check_alone(model, options)
    return resumed_incremental(Path(resume))


def growth_or_resumed(
    model: Place | None, resume: Place | None, options: Mapping[str, object]
) -> SweepConfig:
    """The same of part 1, growing."""
    if resume is None:
        return growth_config({**options, "model": model})
    _check_alone(model, options)
    return resumed_growth(Path(resume))


def run_increments(
    asked: Incremental, told: Told, resumed: Path | None = None
) -> Outcome[IncrementRow]:
    """Measure what is asked, and leave the clause's tables with the rows. Raises SplitbedError."""
    outcome = run_incremental(asked, told, resumed)
    if outcome.folder:
        leave(outcome.rows, RunFolder(outcome.folder))
    return outcome


def _check_alone(model: Place | None, options: Mapping[str, object]) -> None:
    if model is not None or options:
        raise UsageError("--resume goes on with the options of that run: give no others")
