"""Models in transit, whole or in increments, for programs."""

from collections.abc import Callable
from typing import Unpack

from orchestrator.api.options import IncrementsWords, ModelSweepWords
from orchestrator.api.signature import spelled_out
from orchestrator.api.torch_model import ModelLike, file_of
from orchestrator.scenarios.clause_10_6 import leave
from orchestrator.transit.asked import model_sweep as asked_for
from orchestrator.transit.incremental import Outcome, run_incremental
from orchestrator.transit.incremental_asked import Incremental, incremental
from orchestrator.transit.row import ModelRow
from orchestrator.transit.run import ModelOutcome, run_model_sweep

__all__ = ["ModelOutcome", "ModelRow", "Outcome", "increments", "model_sweep", "run_increments"]


@spelled_out(ModelSweepWords)
def model_sweep(
    model: ModelLike | None = None,
    *,
    example_inputs: object = None,
    progress: Callable[[str], None] = lambda _: None,
    **options: Unpack[ModelSweepWords],
) -> ModelOutcome:
    """Send a model over every link as coders compress it; `orchestrate model-sweep` says more.

    `progress` is told in words what goes on. What is wrong with a row stands in it; UsageError,
    MachineError and RunError are of what stops all of it.
    """
    file = file_of(model, example_inputs)
    return run_model_sweep(asked_for({**options, "model": file}), progress)


@spelled_out(IncrementsWords)
def increments(
    model: ModelLike | None = None,
    *,
    example_inputs: object = None,
    progress: Callable[[str], None] = lambda _: None,
    **options: Unpack[IncrementsWords],
) -> Outcome:
    """Send a coarse model first and refine it; `orchestrate increments` says more.

    `progress` and errors are as those of :func:`model_sweep`.
    """
    file = file_of(model, example_inputs)
    return run_increments(incremental({**options, "model": file}), progress)


def run_increments(asked: Incremental, told: Callable[[str], None]) -> Outcome:
    """Measure what is asked, and leave the clause's tables with the rows. Raises SplitbedError."""
    outcome = run_incremental(asked, told)
    leave(outcome.rows, outcome.folder)
    return outcome
