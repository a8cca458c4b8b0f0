"""Searches a dial for the first number, in an order, that is within a target."""

from collections.abc import Callable, Collection, Sequence

FINE = 50
"""Numbers that differ by less than a so manyth part are not told apart."""


def first_within(
    order: Sequence[int], rungs: Collection[int], beyond: Callable[[int], float]
) -> int | None:
    """The first number of `order` that is within the target, within FINE; None where none is.

    `beyond` says by how much one is beyond it. That falls along the order, but for the noise of
    what is measured: so of all that was tried the nearest that does fall is taken (isotonic
    regression, least squares). The `rungs` and the last number are tried first, then what lies
    half-way between the first that is within and the one before it.
    """
    from scipy.optimize import isotonic_regression  # late: a second's work

    tried = {place: beyond(order[place]) for place in {*map(order.index, rungs), len(order) - 1}}
    while True:
        places = sorted(tried)
        smooth = isotonic_regression([tried[place] for place in places], increasing=False).x
        within = [place for place, value in zip(places, smooth, strict=True) if value <= 0]
        if not within:
            return None
        high = within[0]
        low = max((place for place in places if place < high), default=-1)
        if high - low == 1 or _alike(order[max(low, 0)], order[high]):
            return order[high]
        middle = (low + high) // 2
        tried[middle] = beyond(order[middle])


def _alike(one: int, other: int) -> bool:
    return abs(one - other) * FINE <= max(one, other)
