"""Runs that others may have disturbed, and those of them that they disturbed least."""

import statistics
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from splitbed.timeline import NS_PER_MS

QUIET_SHARE = 0.02
"""A run that waited less of its time counts as undisturbed."""
TELLS = Path("/proc/self/schedstat").is_file()
"""Whether the kernel tells how long threads waited."""


@dataclass(frozen=True)
class Turn:
    """What a run took, and what threads of this process waited for a processor meanwhile."""

    ms: float
    waited_ms: float

    @property
    def waited_share(self) -> float:
        """Of its time; of several threads it may be more than all of it."""
        return self.waited_ms / self.ms


def least_disturbed(turns: Sequence[Turn], count: int) -> Turn:
    """The medians of the `count` of them that waited least for their time."""
    least = sorted(turns, key=lambda turn: turn.waited_share)[:count]
    ms = statistics.median(turn.ms for turn in least)
    return Turn(ms, ms * statistics.median(turn.waited_share for turn in least))


def waited_ms(process: int | str = "self") -> float:
    """How long threads of a process were ready to run without a processor (proc(5))."""
    waited_ns = 0
    for stat in Path(f"/proc/{process}/task").glob("*/schedstat"):
        with suppress(OSError):  # gone
            waited_ns += int(stat.read_text().split()[1])
    return waited_ns / NS_PER_MS
