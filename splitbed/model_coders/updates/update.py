"""What an update is of: from which level of detail to which, and which weights."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from splitbed.errors import UsageError

_UPDATE = re.compile(r"update:(-?\d+):(-?\d+)(?::(-?\d+))?(?:/([0-9a-f]+)/([0-9a-f]+))?", re.ASCII)


@dataclass(frozen=True)
class Update:
    """From ``low`` to ``high``, of a model whose first step was ``first``.

    They are bits, or NNC's quantisers, which are not positive. It is of all weights; or, where
    ``some`` is not 0, of those whose places among the weights are bits of it, when those of
    ``done`` have come.
    """

    first: int
    low: int
    high: int
    done: int = 0
    some: int = 0

    @property
    def name(self) -> str:
        """``update:8:16``; with the first step before them where that is another.

        Of some weights ``update:8:16/DONE/SOME``, in hexadecimal digits.
        """
        first = "" if self.first == self.low else f"{self.first}:"
        of = f"/{self.done:x}/{self.some:x}" if self.some else ""
        return f"update:{first}{self.low}:{self.high}{of}"

    def refines(self, place: int) -> bool:
        """Whether it is of the weight at this place."""
        return not self.some or bool(self.some >> place & 1)

    def follows(self, place: int) -> bool:
        """Whether the weight there is at ``high`` already."""
        return bool(self.done >> place & 1)


def written(text: str) -> Update | None:
    """The update that is written so, whatever its steps; None where it is no update's name.

    Raises UsageError where it is of no weights.
    """
    if not (named := _UPDATE.fullmatch(text)):
        return None
    *numbers, done, some = named.groups()
    steps = [int(number) for number in numbers if number]
    update = Update(steps[0], steps[-2], steps[-1], int(done or "0", 16), int(some or "0", 16))
    if update.done & update.some or (done and not update.some):
        raise UsageError(f"{text[:100]} refines no weights, or some that it says are refined")
    return update


def mask(places: Iterable[int]) -> int:
    """Places as bits of a number."""
    return sum(1 << place for place in {*places})
