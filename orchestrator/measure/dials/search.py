"""Searches a dial for the number from which on all reach a target."""

from collections.abc import Callable, Collection, Sequence

FINE = 50
"""Numbers that differ by less than a so manyth part are not told apart."""


def first_reaching(
    order: Sequence[int], rungs: Collection[int], reaches: Callable[[int], bool]
) -> int | None:
    """The first number of `order` from which on they reach, within FINE; None where the last fails.

    The `rungs` and the last number are tried first. Accuracy is noisy: where one of them reaches
    and a later one does not, that was luck, and only what is behind the last failure counts.
    Between that and the next rung the search halves, as numbers that are near differ in order.
    """
    places = sorted({order.index(rung) for rung in rungs} | {len(order) - 1})
    failed = [place for place in places if not reaches(order[place])]
    if places[-1] in failed:
        return None
    low = max(failed, default=-1)
    high = next(place for place in places if place > low)
    while high - low > 1 and not _alike(order[max(low, 0)], order[high]):
        middle = (low + high) // 2
        low, high = (low, middle) if reaches(order[middle]) else (middle, high)
    return order[high]


def _alike(one: int, other: int) -> bool:
    return abs(one - other) * FINE <= max(one, other)
