"""A row of one run laid beside the same row of another: what differs, and what was taken.

columns that are exact ─────────────> differs
columns within a tolerance, or not ─> differs, where they are the same wherever it runs
                                   └> times, where they are not
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from orchestrator.checks.tolerances import Tolerance

REPRODUCED, DIFFERS = "REPRODUCED", "DIFFERS"
Columns = Mapping[str, object]


@dataclass(frozen=True)
class Compared:
    """One thing compared; what differs tells both values, each in words. Empty: reproduced.

    `differs` is what is the same wherever it runs; `times` what was taken, and on what link.
    """

    what: str
    differs: tuple[str, ...] = ()
    times: tuple[str, ...] = ()

    def words(self, most: int | None = None) -> str:
        """Both verdicts with both values of what differs, of `most` metrics each."""
        told = [_words(self.differs, most), _words(self.times, most)]
        return f"deterministic {told[0]}; timing {told[1]}"


@dataclass(frozen=True)
class Beside:
    """A row in both runs, by its columns.

    Those that are ``exact`` have no tolerance; ``deterministic`` says of a column whether it is the
    same wherever it runs. ``excused``, given what A has, says of one beyond its tolerance what else
    there is to say, None where it agrees after all.
    """

    what: str
    a: Columns
    b: Columns
    exact: Sequence[str]
    deterministic: Callable[[str], bool]
    excused: Callable[[str, Tolerance, float], str | None] = lambda *_: ""

    def compared(
        self, limits: Mapping[str, Tolerance], faults: Sequence[tuple[str, bool]] = ()
    ) -> Compared:
        """The verdict; of ``faults``, why a side is not valid, those with True differ, too."""
        differs = [
            f"{name} {shown(self.a[name])} and {shown(self.b[name])} (exact)"
            for name in self.exact
            if self.a[name] != self.b[name]
        ]
        differs += [words for words, is_other in faults if is_other]
        times = [words for words, _ in faults]
        for name, words in self._beyond(limits):
            (differs if self.deterministic(name) else times).append(words)
        return Compared(self.what, tuple(differs), tuple(times))

    def _beyond(self, limits: Mapping[str, Tolerance]) -> Iterator[tuple[str, str]]:
        """The columns whose values lie further apart than their limit, each with both."""
        for name, limit in limits.items():
            one, other = self.a.get(name), self.b.get(name)
            # what a side could not tell, as one-way times of two machines, is not held against it
            if name in self.exact or not _is_number(one) or not _is_number(other):
                continue
            assert isinstance(one, int | float) and isinstance(other, int | float)
            if (math.isnan(one) and math.isnan(other)) or limit.agrees(one, other):
                continue  # NaN is of what nothing judges
            if (more := self.excused(name, limit, one)) is not None:
                yield name, f"{name} {shown(one)} and {shown(other)} ({limit.words}){more}"


def lacking(points: Sequence[str], name: str) -> list[Compared]:
    """The rows that the run of this name lacks."""
    lacks = (f"{name} does not have it",)
    return [Compared(point, lacks, lacks) for point in points]


def shown(value: object) -> str:
    """A value as both are told."""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def word(kept: bool) -> str:
    """A verdict."""
    return REPRODUCED if kept else DIFFERS


def _words(differs: Sequence[str], most: int | None = None) -> str:
    left = f"; and {len(differs) - most} more" if most and differs[most:] else ""
    told = f": {'; '.join(differs[:most])}" if differs else ""
    return f"{word(not differs)}{told}{left}"


def _is_number(value: object) -> bool:
    return isinstance(value, int | float)
