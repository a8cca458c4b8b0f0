"""What a model's outputs mean: each task turns them into the result that goes back to the UE."""

from collections.abc import Callable
from dataclasses import dataclass

from splitbed.extensions import Extensible
from splitbed.tasks import (
    centres,
    classification,
    detections,
    pose,
    ranking,
    ssd,
    texts,
    transcripts,
    upscaling,
)
from splitbed.tasks.classes import COCO_CLASSES
from splitbed.tensors import TensorInfo, Tensors


@dataclass(frozen=True)
class Task:
    """How outputs become a result, and what the result looks like.

    ``decode`` takes the outputs and what the model's inputs are.  ``results`` is None where the
    result is the outputs themselves; a size of -1 depends on the picture.  ``classes`` names
    the labels of boxes, in their order, the background first; empty where there are no boxes.
    """

    decode: Callable[[Tensors, tuple[TensorInfo, ...]], Tensors]
    results: tuple[TensorInfo, ...] | None = None
    classes: tuple[str, ...] = ()


_OWN: dict[str, Task] = {
    "centres": Task(lambda outputs, _: centres.decode(outputs), ssd.RESULTS, centres.CLASSES),
    "classification": Task(
        lambda outputs, _: classification.decode(outputs), classification.RESULTS
    ),
    "detections": Task(detections.decode, ssd.RESULTS, ("background", *COCO_CLASSES)),
    "image": Task(lambda outputs, _: outputs),  # judged as pictures, pixel by pixel
    "next-token": Task(lambda outputs, _: texts.decode_next(outputs), texts.NEXT),
    "pose": Task(pose.decode, pose.RESULTS),
    "ranking": Task(lambda outputs, _: ranking.decode(outputs), ranking.RESULTS),
    "ssd": Task(lambda outputs, _: ssd.decode(outputs), ssd.RESULTS, ("background", *COCO_CLASSES)),
    "super-resolution": Task(lambda outputs, _: upscaling.decode(outputs), upscaling.RESULTS),
    "tensors": Task(lambda outputs, _: outputs),  # for a model of which nothing is known
    "transcript": Task(lambda outputs, _: transcripts.decode(outputs), transcripts.RESULTS),
    "translation": Task(lambda outputs, _: texts.decode_translation(outputs), texts.TRANSLATION),
}
TASKS = Extensible(
    "splitbed.tasks",
    "task",
    _OWN,
    kind="Task of splitbed.tasks",
    needs=("decode", "results", "classes"),
)
"""Of installed packages, too, by the entry points ``splitbed.tasks``."""
