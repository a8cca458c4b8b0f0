"""How well objects are found: average precision, precision, recall, F1 and overlap (clause 6).

Matching is pycocotools': in a picture the boxes of a class, surest first, take the free object
that they overlap most, at least by the threshold; an object is taken once. Boxes that fall on
a crowd count neither for nor against. Of an annotated class at most 100 boxes count in a picture.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf, isfinite

import numpy as np

from splitbed.errors import UsageError
from splitbed.metrics.coco import Entry, Evaluation, evaluation, quiet
from splitbed.metrics.pairs import Pictures, check_annotated
from splitbed.metrics.resampled_ap import OfPictures, mean_ap, of_pictures
from splitbed.metrics.resampling import Array
from splitbed.tasks.boxes import Box

MIN_SCORE = 0.5
MAX_BOXES = 100  # of a class in a picture, as COCO counts


@dataclass(frozen=True)
class Scores:
    """What clause 6 asks of object detection, as fractions; all None where no object is annotated.

    ``ap`` is COCO's average precision over overlaps (IoU) 0.50:0.95, ``ap50`` and ``ap75`` at
    0.50 and 0.75, each from precision at 101 recalls. ``voc_ap50`` is PASCAL VOC's since 2010:
    the whole area under the envelope of precision over recall, at overlap 0.50. ``precision``
    (None where nothing was found), ``recall``, ``f1`` and ``mean_iou`` (of the matched pairs;
    None without any) are at overlap 0.50, of the boxes with the least score or more.
    """

    objects: int
    """Annotated, without crowds."""
    boxes: int
    """Found, with the least score or more, not on a crowd."""
    ap: float | None
    ap50: float | None
    ap75: float | None
    voc_ap50: float | None
    precision: float | None
    recall: float | None
    f1: float | None
    mean_iou: float | None

    def row(self) -> dict[str, float | None]:
        """The columns of a table."""
        return {name: getattr(self, name) for name in COLUMNS}


COLUMNS = ("ap", "ap50", "ap75", "voc_ap50", "precision", "recall", "f1", "mean_iou")
"""Of :meth:`Scores.row`."""


@dataclass(frozen=True)
class DetectionAccuracy(Scores):
    """The scores of all classes together, and of each class.

    Average precisions are means over the classes of which an object is annotated, as COCO has
    them. Precision, recall, F1 and overlap are of all boxes together: a box of a class that is
    annotated nowhere lowers precision.
    """

    classes: Mapping[str, Scores]
    """By label, sorted: those annotated and those found."""
    min_score: float
    reason: str | None
    """Why values are None."""
    _annotated: tuple[OfPictures, ...] = field(default=(), repr=False, compare=False)

    def class_row(self) -> dict[str, float | None]:
        """AP 0.50:0.95 by label: a row of clause 9.4's table, which has per cent."""
        return {label: scores.ap for label, scores in self.classes.items()}

    def resampled_ap(self, drawn: Array) -> Array:
        """``ap`` of each resample of the pictures; NaN where it has no object.

        ``drawn`` is as :func:`splitbed.metrics.resampling.resamples` has it.
        """
        return mean_ap(self._annotated, drawn)


@dataclass(frozen=True)
class _Matched:
    """One class, matched."""

    objects: int
    boxes: int
    overlaps: list[float]
    """Of the matched pairs at 0.50."""
    aps: list[float]
    """At 0.50, 0.55 ... 0.95."""
    voc_ap50: float
    of_pictures: OfPictures | None = None


def detection_accuracy(
    truth: Pictures, found: Pictures, min_score: float = MIN_SCORE
) -> DetectionAccuracy:
    """The accuracy of the boxes ``found`` against ``truth``, by pycocotools.

    The pictures are those of ``truth``; one that ``found`` lacks counts as one where nothing was
    found. ``min_score`` is the least score of a box that precision, recall, F1 and overlap count;
    the average precisions count every box. A found box with a NaN or infinite number is a miss.

    Raises:
        UsageError: a picture in ``found`` that ``truth`` lacks; a found box without a score.
    """
    _check(truth, found)
    labels = sorted({box.label for of in (truth, found) for boxes in of.values() for box in boxes})
    matched = _match(truth, found, labels, min_score)
    together = _scores(matched)
    reason = None
    if not together.objects:
        reason = f"no object is annotated in the {len(truth)} pictures"
    elif not together.boxes:
        reason = f"no box was found with a score of {min_score:g} or more"
    return DetectionAccuracy(
        together.objects,
        together.boxes,
        **together.row(),
        classes={label: _scores([one]) for label, one in zip(labels, matched, strict=True)},
        min_score=min_score,
        reason=reason,
        _annotated=tuple(one.of_pictures for one in matched if one.of_pictures),
    )


def _check(truth: Pictures, found: Pictures) -> None:
    check_annotated(truth, found)
    for name, boxes in found.items():
        for box in boxes:
            if box.score is None:
                raise UsageError(
                    f"cannot judge the boxes found in {name}: {box.label!r} at {box.x:g},"
                    f" {box.y:g} has no score"
                )


def _match(truth: Pictures, found: Pictures, labels: list[str], min_score: float) -> list[_Matched]:
    names = list(truth)
    objects = [(index, box) for index, name in enumerate(names) for box in truth[name]]
    boxes = [(index, box) for index, name in enumerate(names) for box in found.get(name, ())]
    ids = {label: index for index, label in enumerate(labels)}
    judged = evaluation(
        [{"id": index} for index in range(len(names))],
        [{"id": index} for index in ids.values()],
        [{**_row(*one, ids), "iscrowd": int(one[1].crowd)} for one in objects],
        [{**_row(*one, ids), "score": _score(one[1])} for one in boxes],
        "bbox",
    )
    judged.params.areaRng, judged.params.areaRngLbl = [[0, inf]], ["all"]
    judged.params.maxDets = [MAX_BOXES]
    annotated = {box.label for _, box in objects}
    plain_objects, plain_boxes = [box for _, box in objects], [box for _, box in boxes]
    ghosts = Counter(box.label for box in plain_boxes if _score(box) >= min_score)
    with quiet():
        return [
            _class(judged, category, plain_objects, plain_boxes, min_score)
            if label in annotated
            else _Matched(0, ghosts[label], [], [], 0.0)
            for label, category in ids.items()
        ]


def _row(picture: int, box: Box, ids: dict[str, int]) -> Entry:
    numbers = (box.x, box.y, max(box.w, 0.0), max(box.h, 0.0))
    bbox = list(numbers) if all(map(isfinite, (box.x, box.y, box.w, box.h))) else [0.0] * 4
    return {
        "image_id": picture, "category_id": ids[box.label], "bbox": bbox, "area": bbox[2] * bbox[3],
    }  # fmt: skip


def _score(box: Box) -> float:
    return box.score if box.score is not None and isfinite(box.score) else 0.0


def _class(
    judged: Evaluation, category: int, objects: list[Box], boxes: list[Box], min_score: float
) -> _Matched:
    recalls = judged.params.recThrs
    judged.params.catIds = [category]
    judged.evaluate()
    counted, shown, overlaps = 0, 0, []
    for picture in filter(None, judged.evalImgs):
        counted += int(np.count_nonzero(np.logical_not(picture["gtIgnore"])))
        sure = np.array(picture["dtScores"]) >= min_score
        for place in np.flatnonzero(sure & ~picture["dtIgnore"][0].astype(bool)).tolist():
            shown += 1
            taken = int(picture["dtMatches"][0, place])
            if taken:
                overlaps.append(boxes[picture["dtIds"][place] - 1].iou(objects[taken - 1]))
    if not counted:
        return _Matched(0, shown, [], [], 0.0)
    judged.accumulate()
    aps = judged.eval["precision"][:, :, 0, 0, 0].mean(axis=1).tolist()
    # Precision at each recall that can be reached is VOC's envelope: its mean is the whole area.
    judged.params.recThrs = np.arange(1, counted + 1) / counted
    judged.accumulate()
    voc = float(judged.eval["precision"][0, :, 0, 0, 0].mean())
    judged.params.recThrs = recalls
    return _Matched(counted, shown, overlaps, aps, voc, of_pictures(judged))


def _scores(classes: list[_Matched]) -> Scores:
    objects, boxes = sum(one.objects for one in classes), sum(one.boxes for one in classes)
    if not objects:
        return Scores(0, boxes, *[None] * len(COLUMNS))
    annotated = [one for one in classes if one.objects]
    aps = np.mean([one.aps for one in annotated], axis=0)
    overlaps = [overlap for one in classes for overlap in one.overlaps]
    hits = len(overlaps)
    return Scores(
        objects,
        boxes,
        ap=float(aps.mean()),
        ap50=float(aps[0]),
        ap75=float(aps[5]),
        voc_ap50=float(np.mean([one.voc_ap50 for one in annotated])),
        precision=hits / boxes if boxes else None,
        recall=hits / objects,
        f1=2 * hits / (boxes + objects),
        mean_iou=float(np.mean(overlaps)) if overlaps else None,
    )
