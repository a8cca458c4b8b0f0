"""Runs that others may have disturbed, and those of them that they disturbed least."""

import statistics
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from splitbed.timeline import NS_PER_MS

_TASKS = Path("/proc/self/task")
TELLS = _TASKS.is_dir()
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


def least_disturbed(turns: Sequence[Turn]) -> Turn:
    """The medians of the half of them that waited least for their time."""
    least = sorted(turns, key=lambda turn: turn.waited_share)[: (len(turns) + 1) // 2]
    ms = statistics.median(turn.ms for turn in least)
    return Turn(ms, ms * statistics.median(turn.waited_share for turn in least))


def waited_ms() -> float:
    """How long threads of this process were ready to run without a processor (proc(5))."""
    waited_ns = 0
    for stat in _TASKS.glob("*/schedstat"):
        with suppress(OSError):  # gone
            waited_ns += int(stat.read_text().split()[1])
    return waited_ns / NS_PER_MS
