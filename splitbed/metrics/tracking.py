"""How well objects are followed through a video: clause 6's TP and TR.

Found boxes bear no track: in each frame they are paired with the true boxes of their class, those
that overlap most first, so that an exchange of two objects of a class is not seen.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import fmean

import numpy as np

from splitbed.metrics.pairs import Pictures, check_annotated, pairs
from splitbed.tasks.boxes import Box

MIN_OVERLAP = 0.5


@dataclass(frozen=True)
class TrackingAccuracy:
    """Tracking precision and recall, and overlap frame by frame.

    ``tp`` is the fraction of the frames with found boxes in which these overlap the truth by the
    least overlap; of a frame with several the fraction of its found boxes. ``tr`` is the fraction
    of all true boxes that were overlapped so. None where there is no found, or no true, box.
    """

    tp: float | None
    tr: float | None
    mean_iou: float | None
    """Of the frames with true boxes."""
    frame_iou: tuple[float | None, ...]
    """Mean over the true boxes of each frame, 0 for one that was not found; None without any."""
    tracks: dict[int, float]
    """The fraction of each track's boxes that were overlapped, where the truth has tracks."""
    reason: str | None = None

    def row(self) -> dict[str, float | None]:
        """The columns of a table."""
        return {"tp": self.tp, "tr": self.tr, "frame_iou": self.mean_iou}


@dataclass
class _Tally:
    right: list[float] = field(default_factory=list)
    tracked: list[bool] = field(default_factory=list)
    overlaps: list[float | None] = field(default_factory=list)
    tracks: dict[int, list[bool]] = field(default_factory=lambda: defaultdict(list))


def tracking_accuracy(
    truth: Pictures, found: Pictures, min_score: float = 0.5, min_overlap: float = MIN_OVERLAP
) -> TrackingAccuracy:
    """The accuracy of the boxes ``found`` against ``truth``, whose frames are in order.

    In a frame that ``found`` lacks nothing was found. Found boxes below ``min_score`` are left
    out, and so are those of which half lies on a crowd of their class; crowds themselves need
    not be found.

    Raises:
        UsageError: a frame in ``found`` that ``truth`` lacks.
    """
    check_annotated(truth, found)
    tally = _Tally()
    for name, true in truth.items():
        boxes = [b for b in found.get(name, ()) if b.score is None or b.score >= min_score]
        _count(tally, true, boxes, min_overlap)
    known = [overlap for overlap in tally.overlaps if overlap is not None]
    reason = None
    if not known:
        reason = f"no object is annotated in the {len(truth)} frames"
    elif not tally.right:
        reason = f"no box was found with a score of {min_score:g} or more"
    return TrackingAccuracy(
        fmean(tally.right) if tally.right and known else None,
        fmean(tally.tracked) if known else None,
        fmean(known) if known else None,
        tuple(tally.overlaps),
        {track: fmean(tally.tracks[track]) for track in sorted(tally.tracks)},
        reason,
    )


def _count(tally: _Tally, true: Sequence[Box], found: list[Box], min_overlap: float) -> None:
    objects = [box for box in true if not box.crowd]
    crowds = [box for box in true if box.crowd]
    overlaps, hits = [0.0] * len(objects), set()
    for i, j, overlap in pairs(objects, found):
        overlaps[i] = overlap
        if overlap >= min_overlap:
            hits.add(j)
    counted = [j for j, box in enumerate(found) if j in hits or not _in_crowd(box, crowds)]
    if counted:
        tally.right.append(len(hits) / len(counted))
    for box, overlap in zip(objects, overlaps, strict=True):
        tally.tracked.append(overlap >= min_overlap)
        if box.track is not None:
            tally.tracks[box.track].append(overlap >= min_overlap)
    tally.overlaps.append(fmean(overlaps) if overlaps else None)


def _in_crowd(box: Box, crowds: list[Box]) -> bool:
    """Whether half of the box or more lies on a crowd of its class."""
    others = [(crowd.x, crowd.y, crowd.w, crowd.h) for crowd in crowds if crowd.label == box.label]
    if not others:
        return False
    from pycocotools import mask

    parts = mask.iou(np.array([(box.x, box.y, box.w, box.h)]), np.array(others), [1] * len(others))
    return bool(np.max(parts) >= 0.5)
