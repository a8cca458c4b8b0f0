"""Boxes of a detector whose graph ends in them: as torchvision's do, or with the TFLite operator
that TensorFlow's object detection API ends its detectors in.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from splitbed.errors import UsageError
from splitbed.media.recipes import recipe_for
from splitbed.tensors import TensorInfo, Tensors

Array = npt.NDArray[Any]

POST_PROCESS = "TFLite_Detection_PostProcess"
UNUSED = (12, 26, 29, 30, 45, 66, 68, 69, 71, 83)
"""Of COCO's ids, 1 to 90, those that name no class."""
IDS = tuple(number for number in range(1, 91) if number not in UNUSED)
"""COCO's id of each of ``COCO_CLASSES``."""
_PLACES = np.searchsorted(IDS, np.arange(91)) + 1
_PLACES[[0, *UNUSED]] = 0


def decode(outputs: Tensors, inputs: tuple[TensorInfo, ...]) -> Tensors:
    """Boxes, labels and scores of one picture, in the order that they came.

    Takes what :data:`POST_PROCESS` gives, or ``boxes`` FP32 nx4 (left, top, right, bottom in pixels
    of the input, the only one of ``inputs``), ``labels`` INT64 n (COCO's ids) and ``scores`` FP32
    n. Gives ``boxes`` as fractions of the input's width and height and ``labels`` in 1..80, the
    places in ``COCO_CLASSES`` counted from 1. A label that names no class of COCO, as the
    background's 0, is left out with its box.

    Raises:
        UsageError: outputs of other names or shapes, or an input that is no picture.
    """
    if POST_PROCESS in outputs:
        return _post_processed(outputs)
    found = {name: value.shape for name, value in outputs.items()}
    count = outputs["labels"].size if "labels" in outputs else 0
    expected = {"boxes": (count, 4), "labels": (count,), "scores": (count,)}
    if found != expected:
        raise UsageError(
            f"cannot read boxes from outputs {found}: expected boxes (n, 4), labels (n,) and"
            " scores (n,)"
        )
    picture = recipe_for(inputs[0]) if len(inputs) == 1 else None
    if picture is None:
        raise UsageError(f"cannot tell what size of picture the boxes are in: inputs are {inputs}")
    size = np.array([picture.width, picture.height] * 2, np.float32)
    boxes = outputs["boxes"].astype(np.float32) / size
    return _named(boxes, outputs["labels"].astype(np.int64), outputs["scores"])


def _post_processed(outputs: Tensors) -> Tensors:
    """Its boxes are fractions already: top, left, bottom, right; its labels have no background."""
    found = {name: value.shape for name, value in outputs.items()}
    most = outputs[POST_PROCESS].shape[1] if outputs[POST_PROCESS].ndim > 1 else 0
    shapes = (1, most, 4), (1, most), (1, most), (1,)
    names = (POST_PROCESS, *(f"{POST_PROCESS}:{number}" for number in (1, 2, 3)))
    if found != dict(zip(names, shapes, strict=True)):
        raise UsageError(
            f"cannot read boxes from outputs {found}: {POST_PROCESS} gives boxes (1, n, 4), labels"
            " and scores (1, n), and how many there are"
        )
    boxes, labels, scores, (count,) = (outputs[name] for name in names)
    kept = slice(int(np.clip(np.nan_to_num(count), 0, most)))
    ids = np.nan_to_num(labels[0, kept], nan=-1).clip(-1, IDS[-1]).astype(np.int64) + 1
    return _named(boxes[0, kept][:, [1, 0, 3, 2]], ids, scores[0, kept])


def _named(boxes: Array, ids: Array, scores: Array) -> Tensors:
    """Those whose ids name a class."""
    places = np.where((ids > 0) & (ids <= IDS[-1]), _PLACES[ids.clip(0, IDS[-1])], 0)
    kept = places > 0
    return {
        "boxes": boxes[kept].astype(np.float32),
        "labels": places[kept],
        "scores": scores[kept].astype(np.float32),
    }
