"""Boxes of ShapesNet: an object is where its class's heat peaks.

As in CenterNet (Zhou, Wang and Krähenbühl, 2019) a peak is a place whose heat none of its eight
neighbours exceeds; there is no other suppression.  Boxes come highest score first.
"""

import math

import numpy as np
import numpy.typing as npt

from splitbed.errors import UsageError
from splitbed.tasks.classes import SHAPES
from splitbed.tensors import Tensors

CLASSES = ("background", *SHAPES)
MIN_SCORE = 0.05
MAX_BOXES = 100
MAX_GROWTH = math.log(100)  # a guard against overflow, never met in earnest


def decode(outputs: Tensors) -> Tensors:
    """Boxes, labels and scores of one picture.

    Takes ``heat`` 1x6xHxW, logits, and ``sides`` 1x4xHxW, logarithms of the distances to left,
    top, right and bottom, in steps of the grid.  Gives ``boxes`` FP32 nx4, left, top, right,
    bottom as fractions of the picture's width and height, not past its edges, ``labels`` INT64 n
    in 1..6 and ``scores`` FP32 n; n is 0 to 100, scores fall.

    Raises:
        UsageError: outputs of other names or shapes.
    """
    found = {name: value.shape for name, value in outputs.items()}
    grid = found.get("heat", ())[2:]
    if found != {"heat": (1, len(SHAPES), *grid), "sides": (1, 4, *grid)} or len(grid) != 2:
        raise UsageError(
            f"cannot read boxes from outputs {found}: ShapesNet gives heat"
            f" 1x{len(SHAPES)}xHxW and sides 1x4xHxW"
        )
    logits = outputs["heat"][0].astype(np.float32)
    labels, rows, columns = np.nonzero(_peaks(logits))
    scores = 1 / (1 + np.exp(-logits[labels, rows, columns]))
    best = np.argsort(-scores, kind="stable")[:MAX_BOXES]
    best = best[scores[best] > MIN_SCORE]
    labels, rows, columns = labels[best], rows[best], columns[best]
    reach = outputs["sides"][0].astype(np.float32)[:, rows, columns]
    reach = np.exp(np.minimum(reach, MAX_GROWTH))
    middle = np.stack([columns, rows]) + np.float32(0.5)
    corners = np.concatenate([middle - reach[:2], middle + reach[2:]]).T
    height, width = grid
    boxes = (corners / (width, height, width, height)).clip(0, 1)
    return {
        "boxes": boxes.astype(np.float32),
        "labels": labels + 1,
        "scores": scores[best].astype(np.float32),
    }


def _peaks(heat: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    edged = np.pad(heat, ((0, 0), (1, 1), (1, 1)), constant_values=-np.inf)
    rows = np.maximum(np.maximum(edged[:, :-2], edged[:, 1:-1]), edged[:, 2:])
    around = np.maximum(np.maximum(rows[:, :, :-2], rows[:, :, 1:-1]), rows[:, :, 2:])
    return np.asarray(heat >= around)
