"""Boxes of a detector whose graph ends in boxes, labels and scores, as torchvision's do."""

import numpy as np

from splitbed.errors import UsageError
from splitbed.media.recipes import recipe_for
from splitbed.tensors import TensorInfo, Tensors

UNUSED = (12, 26, 29, 30, 45, 66, 68, 69, 71, 83)
"""Of COCO's ids, 1 to 90, those that name no class."""
IDS = tuple(number for number in range(1, 91) if number not in UNUSED)
"""COCO's id of each of ``COCO_CLASSES``."""
_PLACES = np.searchsorted(IDS, np.arange(91)) + 1
_PLACES[[0, *UNUSED]] = 0


def decode(outputs: Tensors, inputs: tuple[TensorInfo, ...]) -> Tensors:
    """Boxes, labels and scores of one picture, in the order that they came.

    Takes ``boxes`` FP32 nx4 (left, top, right, bottom in pixels of the input, the only one of
    ``inputs``), ``labels`` INT64 n (COCO's ids) and ``scores`` FP32 n. Gives ``boxes`` as fractions
    of the input's width and height and ``labels`` in 1..80, the places in ``COCO_CLASSES`` counted
    from 1. A label that names no class of COCO, as the background's 0, is left out with its box.

    Raises:
        UsageError: outputs of other names or shapes, or an input that is no picture.
    """
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
    labels = outputs["labels"].astype(np.int64)
    places = np.where((labels > 0) & (labels <= IDS[-1]), _PLACES[labels.clip(0, IDS[-1])], 0)
    size = np.array([picture.width, picture.height] * 2, np.float32)
    kept = places > 0
    return {
        "boxes": outputs["boxes"][kept].astype(np.float32) / size,
        "labels": places[kept],
        "scores": outputs["scores"][kept].astype(np.float32),
    }
