"""Models in transit, for programs."""

from collections.abc import Callable
from typing import Unpack

from orchestrator.api.options import ModelSweepWords, spelled_out
from orchestrator.api.torch_model import ModelLike, file_of
from orchestrator.transit.asked import model_sweep as asked_for
from orchestrator.transit.row import ModelRow
from orchestrator.transit.run import ModelOutcome, run_model_sweep

__all__ = ["ModelOutcome", "ModelRow", "model_sweep"]


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
