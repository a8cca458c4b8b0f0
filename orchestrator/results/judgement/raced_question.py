"""A question that a race answers, and how far it has."""

from orchestrator.results.json_record import Record


class RacedQuestion(Record, frozen=True, kw_only=True):
    """Which is the best over a link at a pace of the UE, as far as a race has answered it.

    ``low_ms`` and ``high_ms`` are the ends of a prediction's interval, None for a best one that was
    measured. ``not_seen`` had to be measured and were not; ``may_win`` are others that may be
    faster, the likeliest first.
    """

    link: str
    ue: str
    best: str
    best_ms: float
    low_ms: float | None = None
    high_ms: float | None = None
    not_seen: tuple[str, ...] = ()
    may_win: tuple[str, ...] = ()

    @property
    def sure(self) -> bool:
        """Whether measuring more cells could not change the answer."""
        return self.low_ms is None and not self.not_seen and not self.may_win

    @property
    def where(self) -> str:
        """The link and the pace in words."""
        return f"At {self.link}" + (f" with the UE slowed ({self.ue})" if self.ue else "")

    @property
    def words(self) -> str:
        """Where it stands."""
        said, ms = f"{self.where}: {self.best}", f"{_ms(self.best_ms)} ms"
        if self.low_ms is not None and self.high_ms is not None:
            return f"{said}, predicted {ms} ({_ms(self.low_ms)} to {_ms(self.high_ms)})"
        left = f"; {' and '.join(self._left)}" if self._left else ", sure"
        return f"{said}, measured {ms}{left}"

    @property
    def _left(self) -> list[str]:
        """What could still change it."""
        told = [f"{' and '.join(self.not_seen)} not yet measured"] if self.not_seen else []
        others = [one for one in self.may_win if one not in self.not_seen]
        if others:
            more = f" and {len(others) - 1} more" if len(others) > 1 else ""
            told.append(f"{others[0]}{more} may be faster")
        return told


def _ms(ms: float) -> str:
    return f"{ms:.0f}" if ms >= 10 else f"{ms:.1f}"
