"""Heads: which of a model's outputs each of several users makes of what all of them get."""

from collections.abc import Sequence
from itertools import pairwise

from splitbed.errors import UsageError, did_you_mean

Heads = tuple[tuple[int, ...], ...]
"""The outputs of each user's head, by their places among all; none told are all."""


def shared_out(
    users: Sequence[str], names: Sequence[str], asked: Sequence[str] | None = None
) -> Heads:
    """The outputs of these names that each user's head makes: as `asked`, with + between them.

    Else they are shared out in order; where they are too few for that, each user has all.
    Raises UsageError for outputs that are none, and where it is not said of every user.
    """
    count = len(names)
    if asked is None:
        if len(users) == 1 or count < len(users):
            return ((),) * len(users)
        ends = [place * count // len(users) for place in range(len(users) + 1)]
        return tuple(tuple(range(*both)) for both in pairwise(ends))
    heads = [[*dict.fromkeys(words.split("+"))] for words in asked]
    if strange := [name for head in heads for name in head if name not in names]:
        meant = did_you_mean(strange[0], names)
        raise UsageError(
            f"--heads: the model has no output {strange[0]!r}{meant} it gives {', '.join(names)}"
        )
    if len(heads) != len(users):
        raise UsageError(
            f"--heads {','.join(asked)}: give the outputs of {', '.join(users)}, with + "
            f"between those of one, of {', '.join(names)}"
        )
    places = [tuple(sorted(map(names.index, head))) for head in heads]
    return tuple(() if len(head) == count else head for head in places)
