"""Which cell to visit next, so that every "which split over this link" is soon answered.

    predictions, and what was measured ──> beliefs ──> of each question: leader, rivals still open
                                                   ──> the visit that is worth most for its time

A question is one link and pace of the UE. It is answered when both anchors and a split have been
measured, and no cell that was not is believed able to beat the fastest by more than :data:`MARGIN`.
Those that were measured are told apart, or tied, as :mod:`orchestrator.results.judgement.choice`
has it.
"""

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass

from orchestrator.ask.split_point import Anchor
from orchestrator.measure.racing.beliefs import Belief, Beliefs, Prediction

MARGIN = 0.02
"""Two times that differ by less are as good as equal."""
UNLIKELY = 0.002
"""A cell that is no more likely than this to win is dropped; there are many of them."""
FIXED_S = 4.0
"""What a cell takes beside its frames until some were measured: its link is proved twice."""


@dataclass(frozen=True)
class Entrant:
    """A cell of the race: what it may answer, which anchor it is, and what is predicted of it.

    A visit takes `frames` frames, and `more_s` besides what every visit takes. One that is not
    `fit` will not be recommended, whatever it takes.
    """

    key: str
    question: Hashable
    anchor: Anchor | None
    predicted: Prediction
    frames: int
    fit: bool = True
    more_s: float = 0.0


@dataclass(frozen=True)
class Seen:
    """A cell that was measured: its median, whether it may be recommended, what the visit took."""

    ms: float
    fit: bool
    wall_s: float


@dataclass(frozen=True)
class Answer:
    """Where a question stands: the `best` by its key, believed or measured, and who may beat it.

    `needed` are those that have to be measured whatever they are believed to take.
    """

    question: Hashable
    best: str
    ms: float
    low_ms: float
    high_ms: float
    measured: bool
    needed: tuple[str, ...]
    open: Mapping[str, float]
    """How likely each is to beat the best by the margin."""

    @property
    def sure(self) -> bool:
        """Whether no visit could change it."""
        return self.measured and not self.needed and not self.open


class Race:
    """Of the cells that may be recommended, with what was measured of them so far."""

    def __init__(self, entrants: Sequence[Entrant]) -> None:
        self._entrants = {one.key: one for one in entrants}
        self._beliefs = Beliefs({one.key: one.predicted for one in entrants})

    def answers(self, seen: Mapping[str, Seen], failed: Set[str] = frozenset()) -> list[Answer]:
        """Where each question stands; one without an entrant that is fit has no answer.

        Those that `failed` are out of the race.
        """
        return self._answers(seen, failed, self.beliefs(seen))

    def _answers(
        self, seen: Mapping[str, Seen], failed: Set[str], believed: Mapping[str, Belief]
    ) -> list[Answer]:
        found = []
        running = [one for one in self._entrants.values() if one.fit and one.key not in failed]
        for question in dict.fromkeys(one.question for one in running):
            own = [one for one in running if one.question == question]
            own = [one for one in own if one.key not in seen or seen[one.key].fit]
            if own:
                found.append(_answer(question, own, believed, seen))
        return found

    def beliefs(self, seen: Mapping[str, Seen]) -> dict[str, Belief]:
        """Of every entrant, given what was measured."""
        return self._beliefs.given({key: one.ms for key, one in seen.items()})

    def next(
        self, seen: Mapping[str, Seen], left_s: float, failed: Set[str] = frozenset()
    ) -> str | None:
        """The key of the cell to visit, of those that take no longer than is left; None for none.

        What a visit is worth is how likely it changes an answer, for each second that it takes.
        """
        believed = self.beliefs(seen)
        fixed_s = self._fixed_s(seen)
        worth: dict[str, float] = {}
        for answer in self._answers(seen, failed, believed):
            chances = {**answer.open, **dict.fromkeys(answer.needed, 1.0)}
            for key, chance in chances.items():
                takes_s = self._visit_s(key, believed[key].high_ms, fixed_s)
                if takes_s <= left_s:
                    worth[key] = chance / self._visit_s(key, believed[key].ms, fixed_s)
        return max(worth, key=worth.__getitem__, default=None)

    def _visit_s(self, key: str, ms: float, fixed_s: float) -> float:
        one = self._entrants[key]
        return fixed_s + one.more_s + one.frames * ms / 1e3

    def _fixed_s(self, seen: Mapping[str, Seen]) -> float:
        """What visits took beside their frames, on average."""
        took = [max(0.0, one.wall_s - self._visit_s(key, one.ms, 0.0)) for key, one in seen.items()]
        return sum(took) / len(took) if took else FIXED_S


def _answer(
    question: Hashable,
    own: Sequence[Entrant],
    believed: Mapping[str, Belief],
    seen: Mapping[str, Seen],
) -> Answer:
    def ms(one: Entrant) -> float:
        return seen[one.key].ms if one.key in seen else believed[one.key].ms

    best = min(own, key=ms)
    leaders = [one for one in own if one.key in seen]
    leader_ms = min(map(ms, leaders), default=ms(best))
    chances = {
        one.key: believed[one.key].beats(leader_ms * (1 - MARGIN))
        for one in own
        if one.key not in seen
    }
    belief = believed[best.key]
    measured = best.key in seen
    return Answer(
        question=question,
        best=best.key,
        ms=ms(best),
        low_ms=ms(best) if measured else belief.low_ms,
        high_ms=ms(best) if measured else belief.high_ms,
        measured=measured,
        needed=tuple(_needed(own, ms, seen)),
        open={key: chance for key, chance in chances.items() if chance > UNLIKELY},
    )


def _needed(
    own: Sequence[Entrant], ms: Callable[[Entrant], float], seen: Mapping[str, Seen]
) -> Iterator[str]:
    """The fastest of each anchor, and of the splits, where none of these was measured."""
    for anchor in dict.fromkeys(one.anchor for one in own):
        of_kind = [one for one in own if one.anchor == anchor]
        if not any(one.key in seen for one in of_kind):
            yield min(of_kind, key=ms).key
