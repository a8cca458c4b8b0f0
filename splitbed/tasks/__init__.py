"""What a model's outputs mean: each task turns them into the result that goes back to the UE."""

from collections.abc import Callable
from dataclasses import dataclass

from splitbed.tasks import pose, ssd
from splitbed.tensors import TensorInfo, Tensors


@dataclass(frozen=True)
class Task:
    """How outputs become a result, and what the result looks like.

    ``decode`` takes the outputs and what the model's inputs are.  ``results`` is None where the
    result is the outputs themselves; a size of -1 depends on the picture.
    """

    decode: Callable[[Tensors, tuple[TensorInfo, ...]], Tensors]
    results: tuple[TensorInfo, ...] | None = None


TASKS: dict[str, Task] = {
    "pose": Task(pose.decode, pose.RESULTS),
    "ssd": Task(lambda outputs, _: ssd.decode(outputs), ssd.RESULTS),
    "tensors": Task(lambda outputs, _: outputs),  # for a model of which nothing is known
}
