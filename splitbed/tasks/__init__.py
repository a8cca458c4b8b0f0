"""What a model's outputs mean: each task turns them into the result that goes back to the UE."""

from collections.abc import Callable

from splitbed.tasks import ssd
from splitbed.tensors import Tensors


def tensors(outputs: Tensors) -> Tensors:
    """The outputs as they are: for a model of which nothing is known."""
    return outputs


TASKS: dict[str, Callable[[Tensors], Tensors]] = {"ssd": ssd.decode, "tensors": tensors}
