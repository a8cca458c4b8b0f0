"""Boxes of SSD300: default boxes, decoding and non-maximum suppression.

Follows ``Encoder.decode_batch`` of NVIDIA's DeepLearningExamples, PyTorch/Detection/SSD, with the
values its evaluation uses: overlap 0.5, at most 200 boxes. Boxes come highest score first.
"""

import math
from functools import cache

import numpy as np
import numpy.typing as npt

from splitbed.errors import UsageError
from splitbed.tensors import TensorInfo, Tensors

Floats = npt.NDArray[np.float32]

FIGURE = 300
FEATURES = (38, 19, 10, 5, 3, 1)
STEPS = (8, 16, 32, 64, 100, 300)
SCALES = (21, 45, 99, 153, 207, 261, 315)
RATIOS = ((2,), (2, 3), (2, 3), (2, 3), (2,), (2,))
BOXES = 8732
CLASSES = 81

SCALE_XY = 0.1
SCALE_WH = 0.2
MIN_SCORE = 0.05
MAX_OVERLAP = 0.5
MAX_BOXES = 200
MAX_GROWTH = math.log(1000 / 16)  # torchvision's guard against overflow, never met in earnest


RESULTS = (
    TensorInfo("boxes", "FP32", (-1, 4)),
    TensorInfo("labels", "INT64", (-1,)),
    TensorInfo("scores", "FP32", (-1,)),
)
"""What :func:`decode` gives."""


def decode(outputs: Tensors) -> Tensors:
    """Boxes, labels and scores of one picture.

    Takes ``locs`` FP32 1x4x8732 and ``confs`` FP32 1x81x8732 (class 0 is the background). Gives
    ``boxes`` FP32 nx4, left, top, right, bottom as fractions of the picture's width and height
    (as in the original, a box may reach past the picture's edge), ``labels`` INT64 n in 1..80 and
    ``scores`` FP32 n; n is 0 to 200, scores fall.

    Raises:
        UsageError: outputs of other names or shapes.
    """
    expected = {"locs": (1, 4, BOXES), "confs": (1, CLASSES, BOXES)}
    found = {name: value.shape for name, value in outputs.items()}
    if found != expected:
        raise UsageError(f"cannot read boxes from outputs {found}: SSD300 gives {expected}")
    scores = _softmax(outputs["confs"][0].astype(np.float32))
    labels, places, scores = _candidates(scores)
    boxes = _boxes(outputs["locs"][0].astype(np.float32), places)
    kept = _suppress(boxes, labels, scores)
    return {"boxes": boxes[kept], "labels": labels[kept], "scores": scores[kept]}


@cache
def default_boxes() -> Floats:
    """The 4x8732 default boxes: centre x, centre y, width, height, as fractions of the picture."""
    rows = []
    for index, (size, step) in enumerate(zip(FEATURES, STEPS, strict=True)):
        small, large = SCALES[index] / FIGURE, SCALES[index + 1] / FIGURE
        middle = math.sqrt(small * large)
        shapes = [(small, small), (middle, middle)]
        for ratio in RATIOS[index]:
            width, height = small * math.sqrt(ratio), small / math.sqrt(ratio)
            shapes += [(width, height), (height, width)]
        centres = (np.arange(size) + 0.5) * step / FIGURE
        y, x = np.meshgrid(centres, centres, indexing="ij")
        rows += [[x, y, np.full_like(x, w), np.full_like(x, h)] for w, h in shapes]
    columns = [np.reshape(row, (4, -1)) for row in rows]
    return np.concatenate(columns, axis=1).clip(0, 1).astype(np.float32)


def _softmax(logits: Floats) -> Floats:
    powers = np.exp(logits - logits.max(axis=0))
    return np.asarray(powers / powers.sum(axis=0))


def _candidates(
    scores: Floats,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], Floats]:
    """Labels, places and scores above ``MIN_SCORE``, by class, at most 200 of each, best first."""
    labels, places = np.nonzero(scores[1:] > MIN_SCORE)
    labels += 1
    chosen = scores[labels, places]
    order = np.lexsort((-chosen, labels))
    labels, places, chosen = labels[order], places[order], chosen[order]
    few = _ranks(labels) < MAX_BOXES
    return labels[few], places[few], chosen[few]


def _ranks(labels: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Place of each entry among those of its own label; labels are sorted."""
    return np.arange(len(labels)) - np.searchsorted(labels, labels)


def _boxes(locs: Floats, places: npt.NDArray[np.int64]) -> Floats:
    """Left, top, right, bottom of the candidates, nx4."""
    defaults = default_boxes()[:, places]
    centre = defaults[:2] + SCALE_XY * locs[:2, places] * defaults[2:]
    half = np.exp(np.minimum(SCALE_WH * locs[2:, places], MAX_GROWTH)) * defaults[2:] / 2
    return np.concatenate([centre - half, centre + half]).T.astype(np.float32)


def _suppress(
    boxes: Floats, labels: npt.NDArray[np.int64], scores: Floats
) -> npt.NDArray[np.int64]:
    """Greedy suppression within each class; the survivors' indices, best first.

    Classes are taken together in order of score, so that it can end at the last box to be kept.
    """
    ends = np.searchsorted(labels, labels, side="right").tolist()
    alive = np.ones(len(boxes), bool)
    kept: list[int] = []
    for best in np.argsort(-scores, kind="stable").tolist():
        if alive[best]:
            kept.append(best)
            rest = slice(best + 1, ends[best])
            alive[rest] &= _overlaps(boxes[best], boxes[rest]) < MAX_OVERLAP
        if len(kept) == MAX_BOXES:
            break
    return np.array(kept, np.int64)


def _overlaps(box: Floats, others: Floats) -> Floats:
    """Intersection over union of a box with each of nx4 others."""
    sides = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    common = sides.clip(0).prod(axis=1)
    areas = (others[:, 2:] - others[:, :2]).prod(axis=1) + (box[2:] - box[:2]).prod()
    return np.asarray(common / np.maximum(areas - common, np.finfo(np.float32).tiny))
