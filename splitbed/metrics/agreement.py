"""Whether split inference finds what the whole model finds (clause 10.3.9.1)."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from splitbed.errors import UsageError
from splitbed.metrics.pairs import Pictures, pairs
from splitbed.metrics.regression import normalised_mse
from splitbed.tasks.boxes import Box

MAX_NMSE = 1e-5
"""Below this clause 10.3.9.1 has 99.25 % of its frames."""


@dataclass(frozen=True)
class FrameAgreement:
    """One frame: how many boxes there are, and how far apart the pairs of them.

    The normalised MSE of edges (left, top, right, bottom in pixels) and of scores are over the
    paired boxes; 0 where neither found any, None where no two could be paired or a number is NaN.
    """

    name: str
    whole_boxes: int
    split_boxes: int
    paired: int
    box_nmse: float | None
    score_nmse: float | None

    @property
    def equal_counts(self) -> bool:
        """Whether both found as many boxes."""
        return self.whole_boxes == self.split_boxes

    @property
    def agrees(self) -> bool:
        """Whether every box has its pair, and both errors are below 1e-5."""
        errors = (self.box_nmse, self.score_nmse)
        return self.whole_boxes == self.split_boxes == self.paired and all(
            error is not None and error < MAX_NMSE for error in errors
        )


@dataclass(frozen=True)
class Agreement:
    """Split and whole predictions of a sequence compared, frame by frame.

    Fractions of the frames; None without frames.
    """

    frames: tuple[FrameAgreement, ...]

    @property
    def agreeing(self) -> float | None:
        """The fraction of frames in which both agree to a normalised MSE below 1e-5."""
        return _fraction([frame.agrees for frame in self.frames])

    @property
    def equal_counts(self) -> float | None:
        """The fraction of frames in which both found as many boxes."""
        return _fraction([frame.equal_counts for frame in self.frames])

    def row(self) -> dict[str, float | None]:
        """The columns of a table; the errors are the greatest of any frame."""
        return {
            "frames": len(self.frames),
            "agreeing": self.agreeing,
            "equal_counts": self.equal_counts,
            "box_nmse": _greatest([frame.box_nmse for frame in self.frames]),
            "score_nmse": _greatest([frame.score_nmse for frame in self.frames]),
        }


def agreement(whole: Pictures, split: Pictures) -> Agreement:
    """Compare predictions by the name of their frame.

    In each frame boxes of the same label are paired, those that overlap most first, then those
    that overlap nothing in their order: some are left over only where the counts differ.

    Raises:
        UsageError: a frame that only one of them has.
    """
    lone = sorted(set(whole) ^ set(split))
    if lone:
        raise UsageError(
            f"cannot compare split with whole predictions: only one of them has {lone[0]}"
            f" ({len(lone)} such frames)"
        )
    return Agreement(tuple(_frame(name, whole[name], split[name]) for name in whole))


def _frame(name: str, whole: Sequence[Box], split: Sequence[Box]) -> FrameAgreement:
    places = [(i, j) for i, j, _ in pairs(whole, split)]
    places += _left_over(whole, split, places)
    box_nmse = score_nmse = None
    if places or not (whole or split):
        ones, others = [whole[i] for i, _ in places], [split[j] for _, j in places]
        box_nmse = normalised_mse(*(np.array([_edges(b) for b in of]) for of in (ones, others)))
        score_nmse = normalised_mse(
            *(np.array([b.score for b in of], np.float64) for of in (ones, others))
        )
    return FrameAgreement(name, len(whole), len(split), len(places), box_nmse, score_nmse)


def _left_over(
    whole: Sequence[Box], split: Sequence[Box], places: list[tuple[int, int]]
) -> list[tuple[int, int]]:
    taken = {i for i, _ in places}, {j for _, j in places}
    free: defaultdict[str, tuple[list[int], list[int]]] = defaultdict(lambda: ([], []))
    for side, boxes in enumerate((whole, split)):
        for place, box in enumerate(boxes):
            if place not in taken[side]:
                free[box.label][side].append(place)
    return [pair for ones, others in free.values() for pair in zip(ones, others, strict=False)]


def _edges(box: Box) -> tuple[float, float, float, float]:
    return box.x, box.y, box.x + box.w, box.y + box.h


def _fraction(marks: list[bool]) -> float | None:
    return sum(marks) / len(marks) if marks else None


def _greatest(errors: list[float | None]) -> float | None:
    return max((error for error in errors if error is not None), default=None)
