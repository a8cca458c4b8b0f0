"""The order that cells are measured in."""

import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import chain

from orchestrator.ask.flow import anchors_of
from orchestrator.ask.sweep.cell import Cell, Visit


def in_random_order(
    cells: Sequence[Cell], seed: int, room: int, blocks: int = 1
) -> list[list[Visit]]:
    """The cells as they are measured: in each block in an order of its own, all of the seed.

    In groups of `room` splits: as many may be open at once. So in a block a split is loaded once at
    most, and where all may be open, once in all.
    """
    dice = random.Random(seed)  # noqa: S311  it hides nothing
    return [group for block in range(blocks) for group in _in_groups(cells, block, room, dice)]


def anchors_again(cells: Sequence[Cell], blocks: int) -> list[Visit]:
    """The anchors once more, after all blocks: over each link and at each pace, of each the first.

    The network anchor with the first of its codecs and loads: what is looked at is the machine.
    """
    found: dict[object, Cell] = {}
    for cell in cells:
        asked = cell.configuration
        if asked.cuts in anchors_of(asked.flow, asked.n).values():
            found.setdefault((asked.loading, asked.links, asked.pace), cell)
    return [Visit(cell, blocks) for cell in found.values()]


def _in_groups(
    cells: Sequence[Cell], block: int, room: int, dice: random.Random
) -> Iterator[list[Visit]]:
    splits: dict[object, list[Visit]] = defaultdict(list)
    for cell in cells:
        splits[cell.configuration.loading].append(Visit(cell, block))
    order = dice.sample(list(splits.values()), len(splits))
    for first in range(0, len(order), room):
        group = [*chain(*order[first : first + room])]
        yield dice.sample(group, len(group))
