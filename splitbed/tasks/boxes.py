"""Objects in pictures: ground truth and predictions, and the text files that hold them.

The files are those of clause 2.1.1.1, one per picture, a line per object:

    <object_label> <box_topleft_x> <box_topleft_y> <box_width> <box_height>
    <object_label> <prediction_confidence> <box_topleft_x> <box_topleft_y> <box_width> <box_height>

Labels may hold spaces ("dining table"): the numbers are read from the end of the line.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from splitbed.errors import UsageError
from splitbed.media.files import text_in
from splitbed.tensors import Tensors

TRUTH, SCORED = "label x y w h", "label confidence x y w h"
CORNERS = "label left top right bottom confidence"


@dataclass(frozen=True)
class Box:
    """An object: left, top, width and height in pixels of the picture, from its top left corner.

    ``score`` is None for ground truth.  ``crowd`` marks a group of objects, which is never a miss
    (COCO's iscrowd, VOC's difficult); ``track`` names the object across the frames of a video.
    """

    label: str
    x: float
    y: float
    w: float
    h: float
    score: float | None = None
    crowd: bool = False
    track: int | None = None

    def iou(self, other: "Box") -> float:
        """Intersection over union, 0 to 1."""
        wide = min(self.x + self.w, other.x + other.w) - max(self.x, other.x)
        high = min(self.y + self.h, other.y + other.h) - max(self.y, other.y)
        common = max(wide, 0.0) * max(high, 0.0)
        union = self.w * self.h + other.w * other.h - common
        return common / union if union > 0 else 0.0


def boxes_of(
    results: Tensors, classes: Sequence[str], width: int, height: int, min_score: float = 0.0
) -> list[Box]:
    """The boxes of a detection task's results, on a picture of ``width`` x ``height`` pixels.

    ``results`` holds ``boxes`` FP32 nx4 (left, top, right, bottom as fractions of the picture),
    ``labels`` INT64 n (places in ``classes``) and ``scores`` FP32 n.  A box without finite numbers
    is none; one whose sides are exchanged has no area.
    """
    found = []
    for place, label, score in zip(
        results["boxes"].tolist(), results["labels"].tolist(), results["scores"].tolist(),
        strict=True,
    ):  # fmt: skip
        left, top, right, bottom = place
        if score >= min_score and all(map(math.isfinite, (*place, score))):
            x, y = left * width, top * height
            w, h = max(right - left, 0.0) * width, max(bottom - top, 0.0) * height
            found.append(Box(classes[label], x, y, w, h, score))
    return found


def write_boxes(boxes: Iterable[Box]) -> str:
    """The lines of a file; with the confidence where a box has a score."""
    lines = []
    for box in boxes:
        score = [] if box.score is None else [f"{box.score:.6f}"]
        place = [f"{value:.3f}" for value in (box.x, box.y, box.w, box.h)]
        lines.append(" ".join([box.label, *score, *place]) + "\n")
    return "".join(lines)


def read_boxes(path: Path, *, scored: bool) -> list[Box]:
    """The boxes in a file, which has confidences where ``scored``.

    Raises:
        UsageError: the file cannot be read, or a line is none: the message names it.
    """
    found = []
    for label, numbers, where in _lines(path, SCORED if scored else TRUTH):
        *score, x, y, w, h = numbers
        found.append(_box(label, (x, y, w, h), score[0] if scored else None, where))
    return found


def read_corners(path: Path) -> list[Box]:
    """The boxes in a file of the scripts of clause 10.3.8, whose lines are as :data:`CORNERS`.

    Raises:
        UsageError: as :func:`read_boxes`.
    """
    found = []
    for label, (left, top, right, bottom, score), where in _lines(path, CORNERS):
        found.append(_box(label, (left, top, right - left, bottom - top), score, where))
    return found


def _lines(path: Path, form: str) -> Iterator[tuple[str, list[float], str]]:
    """Of each line the label, the numbers behind it, and where it stands."""
    try:
        lines = text_in(path).splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not text"
        raise UsageError(f"cannot read the boxes in {path}: {reason}") from None
    count = len(form.split()) - 1
    for number, line in enumerate(lines, start=1):
        words = line.split()
        try:
            numbers = [float(word) for word in words[-count:]]
        except ValueError:
            numbers = []
        if words and (
            len(words) <= count or len(numbers) != count or not all(map(math.isfinite, numbers))
        ):
            where = f"{path}:{number}"
            raise UsageError(f"{where}: not a line of the form '{form}': {line.strip()!r}")
        if words:
            yield " ".join(words[:-count]), numbers, f"{path}:{number}"


def _box(
    label: str, place: tuple[float, float, float, float], score: float | None, where: str
) -> Box:
    x, y, w, h = place
    if w < 0 or h < 0:
        raise UsageError(f"{where}: a box of {w:g} x {h:g} pixels cannot be: {label!r}")
    return Box(label, x, y, w, h, score)
