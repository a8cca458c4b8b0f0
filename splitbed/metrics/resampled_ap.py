"""Average precision of many resamples of the pictures at once, for its interval.

What pycocotools evaluated is taken apart by picture, so that a resample costs no matching.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from splitbed.metrics.coco import Evaluation
from splitbed.metrics.resampling import Array

if TYPE_CHECKING:
    from scipy.sparse import csr_array

MOST_AT_ONCE = 1 << 18  # counts of pictures in resamples: more would be hundreds of MB


@dataclass(frozen=True)
class OfPictures:
    """Of one annotated class, what average precision takes from each picture.

    ``objects`` has one number for each picture. At each threshold, ``hits`` has the picture of each
    hit, the surest first, and ``misses`` a row for each picture and a column for each hit: how many
    of the picture's come between it and the hit before. Precision is highest, and recall grows, at
    hits alone.
    """

    objects: Array
    hits: list[NDArray[np.intp]]
    misses: list["csr_array"]

    def ap(self, drawn: Array, recalls: Array) -> Array:
        """Of each resample; NaN where it has no object."""
        objects = (drawn @ self.objects)[:, None]
        with np.errstate(divide="ignore", invalid="ignore"):
            aps = [
                _ap(np.cumsum(drawn[:, hits], 1), np.cumsum(drawn @ misses, 1), objects, recalls)
                for hits, misses in zip(self.hits, self.misses, strict=True)
            ]
        return np.where(objects[:, 0] > 0, np.mean(aps, axis=0), np.nan)


def _ap(hits: Array, misses: Array, objects: Array, recalls: Array) -> Array:
    """The mean over ``recalls`` of the best precision at that recall or beyond."""
    if not hits.shape[1]:
        return np.zeros(len(hits))
    precision = np.nan_to_num(hits / (hits + misses))
    best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    reached = np.searchsorted(recalls, hits / objects, side="right")
    return np.asarray((best * np.diff(reached, axis=1, prepend=0)).sum(axis=1) / len(recalls))


def mean_ap(classes: Sequence[OfPictures], drawn: Array) -> Array:
    """The mean over annotated classes, of each resample; NaN where it has no object.

    ``drawn`` is as :func:`splitbed.metrics.resampling.resamples` has it.
    """
    recalls = np.linspace(0, 1, 101)
    if not classes:
        return np.full(len(drawn), np.nan)
    parts = np.array_split(drawn, -(-drawn.size // MOST_AT_ONCE))
    of_classes = np.array(
        [np.concatenate([one.ap(part, recalls) for part in parts]) for one in classes]
    )
    there = ~np.isnan(of_classes)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.nansum(of_classes, axis=0) / there.sum(axis=0))


def of_pictures(judged: Evaluation) -> OfPictures:
    """What was evaluated last, taken apart; pycocotools orders it by picture."""
    from scipy.sparse import coo_array  # takes a while to import

    pictures = [(place, one) for place, one in enumerate(judged.evalImgs) if one is not None]
    objects = np.zeros(len(judged.evalImgs))
    for place, one in pictures:
        objects[place] = np.count_nonzero(np.logical_not(one["gtIgnore"]))
    of = np.concatenate([np.full(len(one["dtScores"]), place) for place, one in pictures])
    scores = np.concatenate([np.asarray(one["dtScores"], np.float64) for _, one in pictures])
    order = np.argsort(-scores, kind="mergesort")
    matched, ignored = (
        np.concatenate([one[name] for _, one in pictures], axis=1)[:, order].astype(bool)
        for name in ("dtMatches", "dtIgnore")
    )
    of, hits, misses = of[order], [], []
    for hit, left_out in zip(matched, ignored, strict=True):
        true, false = hit & ~left_out, ~hit & ~left_out
        hits.append(of[true])
        surer = np.cumsum(true)[false]  # hits, than each miss
        before = surer < len(hits[-1])  # those behind the last hit cost nothing
        where = of[false][before], surer[before]
        shape = len(objects), len(hits[-1])
        misses.append(coo_array((np.ones(len(where[0])), where), shape).tocsr())
    return OfPictures(objects, hits, misses)
