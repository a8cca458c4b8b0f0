"""What models say of texts: which token follows, and which tokens a text becomes."""

import numpy as np

from splitbed.errors import UsageError
from splitbed.tensors import TensorInfo, Tensors

NEXT = (TensorInfo("log_probabilities", "FP32", (-1, -1)),)
"""What :func:`decode_next` gives: natural logarithms, PLACESxVOCABULARY."""
TRANSLATION = (TensorInfo("tokens", "INT64", (-1,)),)
"""What :func:`decode_translation` gives."""


def decode_next(outputs: Tensors) -> Tensors:
    """The log-probability of each token at each place, of logits 1xPLACESxVOCABULARY.

    Raises:
        UsageError: several outputs, or one of another shape.
    """
    logits = _only(outputs, "which token follows")
    if logits.ndim != 3:
        raise _misfit(outputs, "which token follows", "1xPLACESxVOCABULARY is wanted")
    below = logits[0].astype(np.float32)
    below -= below.max(-1, keepdims=True)
    # as scipy's log_softmax, whose import takes a node longer than its model
    return {"log_probabilities": below - np.log(np.exp(below).sum(-1, keepdims=True))}


def decode_translation(outputs: Tensors) -> Tensors:
    """The likeliest token at each place, of logits 1xPLACESxVOCABULARY; or 1xPLACES tokens.

    Raises:
        UsageError: several outputs, or one of another shape.
    """
    found = _only(outputs, "a translation")
    if found.ndim == 3 and found.dtype.kind == "f":
        return {"tokens": found[0].argmax(-1).astype(np.int64)}
    if found.ndim == 2 and found.dtype.kind in "iu":
        return {"tokens": found[0].astype(np.int64)}
    wanted = "logits 1xPLACESxVOCABULARY, or 1xPLACES whole numbers, are wanted"
    raise _misfit(outputs, "a translation", wanted)


def _only(outputs: Tensors, what: str) -> np.ndarray[tuple[int, ...], np.dtype[np.generic]]:
    if len(outputs) != 1 or (one := next(iter(outputs.values()))).shape[:1] != (1,):
        raise _misfit(outputs, what, "one output, of a batch of 1, is wanted")
    return one


def _misfit(outputs: Tensors, what: str, wanted: str) -> UsageError:
    found = {name: array.shape for name, array in outputs.items()}
    return UsageError(f"cannot read {what} from {found}: {wanted}")
