"""Boxes of the same pictures from two sources, and which of them are the same object."""

from collections.abc import Mapping, Sequence

from splitbed.errors import UsageError
from splitbed.tasks.boxes import Box

Pictures = Mapping[str, Sequence[Box]]
"""Boxes by the name of their picture."""


def check_annotated(truth: Pictures, found: Pictures) -> None:
    """Raise UsageError unless every picture in ``found`` is in ``truth``."""
    unknown = [name for name in found if name not in truth]
    if unknown:
        raise UsageError(
            f"cannot judge the boxes found in {unknown[0]} ({len(unknown)} of {len(found)}"
            " pictures): nothing is annotated of it, not even that it is empty"
        )


def pairs(one: Sequence[Box], other: Sequence[Box]) -> list[tuple[int, int, float]]:
    """Places in both of the boxes that belong together, and their overlap (IoU).

    Greedy: of the boxes of the same label, the two that overlap most are a pair, then of the rest
    the two that overlap most, until none overlap.
    """
    overlaps = sorted(
        (-a.iou(b), i, j)
        for i, a in enumerate(one)
        for j, b in enumerate(other)
        if a.label == b.label
    )
    ones: set[int] = set()
    others: set[int] = set()
    paired = []
    for overlap, i, j in overlaps:
        if overlap < 0 and i not in ones and j not in others:
            ones.add(i)
            others.add(j)
            paired.append((i, j, -overlap))
    return paired
