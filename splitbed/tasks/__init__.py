"""What a model's outputs mean: each task turns them into the result that goes back to the UE."""

from collections.abc import Callable
from dataclasses import dataclass

from splitbed.tasks import ssd
from splitbed.tensors import TensorInfo, Tensors


@dataclass(frozen=True)
class Task:
    """How outputs become a result, and what the result looks like.

    ``results`` is None where the result is the outputs themselves; a size of -1 depends on the
    picture.
    """

    decode: Callable[[Tensors], Tensors]
    results: tuple[TensorInfo, ...] | None = None


def tensors(outputs: Tensors) -> Tensors:
    """The outputs as they are: for a model of which nothing is known."""
    return outputs


TASKS: dict[str, Task] = {"ssd": Task(ssd.decode, ssd.RESULTS), "tensors": Task(tensors)}
