"""What must hold while frames are offered, as words of a command line.

e2e_p99<100ms    --slo, as :mod:`orchestrator.results.statistics.limits` has them
<1%   <=0.5%     --drop-rate, of the frames offered
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.results.statistics.limits import NUMBER, Limit, limits
from splitbed.errors import UsageError

USUAL_DROPS, MOST_DROPS = "<1%", 0.99
_SHARE = re.compile(rf"\s*(?P<sign><=|<)\s*{NUMBER}\s*%\s*")


@dataclass(frozen=True)
class DropLimit:
    """Of all frames offered, the share that may be lost: dropped, or failed."""

    text: str
    most: float
    most_itself: bool

    @property
    def frames(self) -> int:
        """How many frames it takes for one that is lost not to decide it, where any may be."""
        return math.ceil(2 / self.most) if self.most else 1

    def holds(self, share: float) -> bool:
        """Whether so many may be lost."""
        return share < self.most or (self.most_itself and share == self.most)


@dataclass(frozen=True)
class Objective:
    """All that must hold at once."""

    limits: tuple[Limit, ...]
    drops: DropLimit

    @property
    def frames(self) -> int:
        """How many frames a run offers to tell, though some of them are lost."""
        return max(self.drops.frames, *map(self.frames_of, self.limits))

    def frames_of(self, limit: Limit) -> int:
        """How many for this limit: as many as it takes come through where all are lost that may."""
        return math.ceil(limit.frames / (1 - self.drops.most))

    def broken_alone(self, e2e_ms: float, before_ms: float) -> tuple[str, str] | None:
        """The limit that frames one at a time break, and how; None where they may keep all.

        The fastest of them took `e2e_ms`, its preprocessing `before_ms`.
        """
        for limit in self.limits:
            least_ms = e2e_ms + (before_ms if limit.time == "response" else 0.0)
            if not limit.holds(least_ms):
                return limit.name, f"a frame alone takes {least_ms:.4g} ms at least"
        return None

    @property
    def words(self) -> str:
        """As it was asked."""
        return f"{', '.join(limit.text for limit in self.limits)}, lost {self.drops.text}"


def objective(slo: str | Sequence[str], drop_rate: str = USUAL_DROPS) -> Objective:
    """What these words mean; UsageError, by name, for what means nothing."""
    return Objective(limits(slo), _drops(drop_rate))


def _drops(words: str) -> DropLimit:
    read = _SHARE.fullmatch(words)
    if read is None or float(read["number"]) > 100:
        raise UsageError(
            f"--drop-rate {words!r} is no share: give < or <= and per cent of the frames offered, "
            f"as {USUAL_DROPS}"
        )
    most, itself = float(read["number"]) / 100, read["sign"] == "<="
    if most > MOST_DROPS:
        raise UsageError(
            f"--drop-rate {words!r}: of so few that come through no limit is told: give "
            f"{MOST_DROPS:.0%} at most"
        )
    if most == 0 and not itself:
        raise UsageError(f"--drop-rate {words!r}: nothing is below 0: give <=0% for none at all")
    return DropLimit(f"{read['sign']}{read['number']}%", most, itself)
