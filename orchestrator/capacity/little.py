"""Little's law, as a check of a run: frames under way = rate x time in system.

J. D. C. Little, A proof for the queuing formula L = lambda W (Operations Research 9, 1961). Each is
of the middle of a run, seen in its own way: what is under way over the time, the rate and the times
by the frames that were due in it. So they agree where the run is steady and no frame was lost track
of, and differ where a queue grows.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

TOLERANCE = 0.05
"""They agree within this share …"""
LEAST = 0.05
"""… or within so much of a frame."""
_ENDS = 0.1
_FEWEST = 20


@dataclass(frozen=True)
class Little:
    """Frames under way on average, as seen over time and as the law has them."""

    under_way: float
    by_law: float

    @property
    def holds(self) -> bool:
        """Whether they agree."""
        return abs(self.under_way - self.by_law) <= max(TOLERANCE * self.by_law, LEAST)

    @property
    def words(self) -> str:
        """As a user is told it."""
        told = f"{self.under_way:.2f} frames under way, rate x time in system is {self.by_law:.2f}"
        return told if self.holds else f"{told}: the run is not steady"


def little(due: Floats, done: Floats) -> Little | None:
    """Of frames in the order in which they were due, in any unit of time; None for too few.

    A frame that was dropped was in the system until it was.
    """
    count = len(due)
    if count < _FEWEST:
        return None
    first, last = int(count * _ENDS), int(count * (1 - _ENDS))
    begins, ends = due[first], due[last]
    if ends <= begins:
        return None
    inside = np.minimum(done, ends) - np.maximum(due, begins)
    seen = float(np.maximum(inside, 0).sum() / (ends - begins))
    middle = slice(first, last)
    rate = (last - first) / (ends - begins)
    return Little(seen, float(rate * (done[middle] - due[middle]).mean()))
