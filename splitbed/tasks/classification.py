"""Classes of a picture: the likeliest five places of the model's scores."""

import numpy as np

from splitbed.errors import UsageError
from splitbed.tensors import TensorInfo, Tensors

TOP = 5

RESULTS = (TensorInfo("labels", "INT64", (-1,)), TensorInfo("scores", "FP32", (-1,)))
"""What :func:`decode` gives: places among the scores, and the scores, the greatest first."""


def decode(outputs: Tensors) -> Tensors:
    """The five greatest scores of one picture, or all where there are fewer.

    Takes one output of 1xN or 1xNx1x1, of any datatype: scores, logits or quantised ones.

    Raises:
        UsageError: several outputs, or one of another shape.
    """
    (first, *others) = outputs.values()
    if others or first.size < 1 or first.size != max(first.shape, default=0):
        found = {name: array.shape for name, array in outputs.items()}
        raise UsageError(f"cannot read classes from outputs {found}: one row of scores is wanted")
    scores = first.reshape(-1).astype(np.float32)
    labels = np.argsort(-scores, kind="stable")[:TOP].astype(np.int64)
    return {"labels": labels, "scores": scores[labels]}
