"""How far numbers are from others: clause 6's regression metrics.

scikit-learn has them too; it takes a second to import, and every sweep that is not of boxes, key
points or classes ends with these.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from splitbed.errors import UsageError

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class RegressionAccuracy:
    """Mean squared error, its root, mean absolute error, coefficient of determination.

    ``nmse`` is as :func:`normalised_mse`, ``pearson`` the coefficient of correlation. None, with
    the ``reason``, is what cannot be: all of them where a number is not finite or there is none,
    ``r2`` and ``pearson`` where the truth does not vary, ``pearson`` where what is said does not.
    """

    mse: float | None
    rmse: float | None
    mae: float | None
    r2: float | None
    nmse: float | None
    pearson: float | None
    reason: str | None = None

    def row(self) -> dict[str, float | None]:
        """The columns of a table."""
        return {
            name: getattr(self, name) for name in ("mse", "rmse", "mae", "r2", "nmse", "pearson")
        }


def regression_accuracy(truth: Array, predicted: Array) -> RegressionAccuracy:
    """The error of ``predicted`` over all values, computed in FP64.

    Raises:
        UsageError: arrays of different shapes.
    """
    true, said = _flat(truth, predicted)
    if not true.size:
        return _nothing("there are no values")
    if not (np.isfinite(true).all() and np.isfinite(said).all()):
        return _nothing("a value is NaN or infinite")
    with np.errstate(over="ignore"):
        error = said - true
        square, variance = float(np.mean(error**2)), float(np.var(true))
    varies = bool(np.ptp(true) > 0 < variance)
    return RegressionAccuracy(
        square,
        math.sqrt(square),
        float(np.mean(np.abs(error))),
        1 - square / variance if varies else None,
        normalised_mse(true, said),
        float(np.corrcoef(true, said)[0, 1]) if varies and np.ptp(said) > 0 else None,
        None if varies else "the true values are all the same, so R2 is not defined",
    )


def _nothing(reason: str) -> RegressionAccuracy:
    return RegressionAccuracy(None, None, None, None, None, None, reason)


def resampled_r2(pairs: Sequence[tuple[Array, Array]], drawn: Array) -> Array:
    """R2 of each resample of the ``pairs`` of true and predicted values, one pair a picture.

    ``drawn`` is as :func:`splitbed.metrics.resampling.resamples` has it. NaN where the true values
    of a resample are all the same.
    """
    centre = np.mean(np.concatenate([true for true, _ in pairs]))
    sums = np.array(
        [
            (true.size, np.sum(true - centre), np.sum((true - centre) ** 2), _square(said - true))
            for true, said in pairs
        ]
    )
    count, total, squares, errors = (drawn @ sums).T
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(1 - errors / (squares - total**2 / count))


def _square(errors: Array) -> float:
    return float(np.sum(errors**2))


def normalised_mse(reference: Array, other: Array) -> float | None:
    """Mean squared difference divided by the mean square of ``reference``.

    With it clause 10.3.9.1 compares split with whole inference. Nothing against nothing is 0, be
    it zeros or no values; a difference from zeros alone, NaN and infinity give None.

    Raises:
        UsageError: arrays of different shapes.
    """
    true, said = _flat(reference, other)
    with np.errstate(over="ignore", invalid="ignore"):
        error, square = float(np.sum((true - said) ** 2)), float(np.sum(true**2))
    if error == 0:
        return 0.0
    return error / square if square > 0 and np.isfinite([error, square]).all() else None


def _flat(one: Array, other: Array) -> tuple[Array, Array]:
    if one.shape != other.shape:
        raise UsageError(f"cannot compare values of shape {other.shape} with {one.shape}")
    return one.astype(np.float64).reshape(-1), other.astype(np.float64).reshape(-1)
