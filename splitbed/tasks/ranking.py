"""What models say of candidates: a score for each, the highest first."""

import numpy as np

from splitbed.errors import UsageError
from splitbed.tensors import TensorInfo, Tensors

RESULTS = (TensorInfo("scores", "FP32", (-1,)),)
"""What :func:`decode` gives, in the order of the candidates."""


def decode(outputs: Tensors) -> Tensors:
    """The scores of all candidates, of one output whose every value is one.

    Raises:
        UsageError: several outputs, or fewer than two candidates.
    """
    (first, *others) = outputs.values()
    if others or first.size < 2 or first.dtype.kind != "f":
        found = {name: array.shape for name, array in outputs.items()}
        raise UsageError(f"cannot read scores from {found}: one output of 2 or more is wanted")
    return {"scores": first.reshape(-1).astype(np.float32)}
