"""The visits of a sweep that has a budget, or goes on until it is sure: each chosen by a race.

whole model ──> predictions of all cells ──> race: which? ──> visit, look at the journal ──> …
                     nothing more to ask ──> what was disturbed again ──> race …
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence, Set

from orchestrator.ask.links import links_words
from orchestrator.ask.split_point import as_codec, cut_name
from orchestrator.ask.sweep.cell import Cell, Visit
from orchestrator.ask.sweep.config import SweepConfig
from orchestrator.measure.engine import Engine
from orchestrator.measure.racing.again import disturbed_again
from orchestrator.measure.racing.beliefs import Belief, Prediction
from orchestrator.measure.racing.race import Answer, Entrant, Race, Seen
from orchestrator.results.journal import Journal
from orchestrator.results.judgement.accuracy import drawn, is_fit
from orchestrator.results.judgement.raced_question import RacedQuestion
from orchestrator.results.profile import Profile
from orchestrator.results.records import PredictedCell
from orchestrator.testbed.model import Known

Forecast = Callable[[Profile, Sequence[Cell], Known], Mapping[str, Prediction]]
"""What a profile says of cells whose codecs have such a setting, by the cells' keys."""

END_S = 6.0
"""Kept of a budget for judging, and for taking the testbed down."""


class Racing:
    """Chooses one visit after another; the budget began to run at `began_s`, monotonic.

    First come those that `failed` in an earlier part of the run.
    """

    def __init__(
        self,
        config: SweepConfig,
        cells: Sequence[Cell],
        engine: Engine,
        journal: Journal,
        failed: Sequence[Visit],
        forecast: Forecast,
        began_s: float,
    ) -> None:
        self._cells = {cell.configuration.key: cell for cell in cells}
        self._engine, self._journal, self._forecast = engine, journal, forecast
        self._most_runs, self._budget_s, self._began_s = config.most_runs, config.budget, began_s
        self._failed = failed
        self._told: dict[tuple[str, str], str] = {}

    def visits(self) -> Iterator[Visit]:
        """Until every question is sure, or the budget is spent; tells where they stand.

        Raises SplitbedError where nothing can be predicted.
        """
        race = self._race()
        self._written(race)
        yield from filter(self._fits, self._failed)
        visits = [Visit(cell) for cell in self._cells.values()]
        again = disturbed_again(visits, self._journal, self._engine.watcher, self._fits)
        while (visit := self._next(race) or next(again, None)) is not None:
            yield visit

    def _next(self, race: Race) -> Visit | None:
        """What the race asks for next, of what fits into the time that is left."""
        seen, failed = self._written(race)
        key = race.next(seen, self._left_s, failed)
        return None if key is None else Visit(self._cells[key])

    def _fits(self, visit: Visit) -> bool:
        """Whether a cell that was measured can be once more in the time that is left."""
        took_ms = max(one.wall_ms or 0.0 for one in self._journal.cells if one.key == visit.key[0])
        return took_ms / 1e3 <= self._left_s

    def _race(self) -> Race:
        cells = [*self._cells.values()]
        profile = self._engine.outlined()
        self._engine.calibrate(cells)
        predicted = self._forecast(profile, cells, self._engine.parts.known)
        seeded = drawn(self._journal.run.model.weights)
        return Race([_entrant(cell, predicted, self._most_runs, seeded) for cell in cells])

    def _written(self, race: Race) -> tuple[Mapping[str, Seen], Set[str]]:
        """What was seen and what failed; where questions stand with that is written down."""
        seen, failed = self._standing()
        questions = tuple(self._question(one) for one in race.answers(seen, failed))
        ended = {cell.key for cell in self._journal.cells}
        predicted = tuple(
            self._predicted(self._cells[key], belief)
            for key, belief in race.beliefs(seen).items()
            if key not in ended
        )
        self._journal.update(raced=questions, predicted=predicted)
        for one in questions:
            if self._told.get((one.link, one.ue)) != one.words:
                self._told[one.link, one.ue] = one.words
                self._engine.watcher.answer(one.words)
        return seen, failed

    def _predicted(self, cell: Cell, belief: Belief) -> PredictedCell:
        record = self._engine.record(Visit(cell), "")
        return PredictedCell(
            cell=record, e2e_ms=belief.ms, low_ms=belief.low_ms, high_ms=belief.high_ms
        )

    @property
    def _left_s(self) -> float:
        if self._budget_s is None:
            return float("inf")
        return self._budget_s - END_S - (time.monotonic() - self._began_s)

    def _standing(self) -> tuple[dict[str, Seen], set[str]]:
        """The cells that count, and those measured in vain."""
        cells = self._journal.cells
        seen = {
            cell.key: Seen(row.e2e_ms, is_fit(row), (cell.wall_ms or 0.0) / 1e3)
            for cell, row in zip(cells, self._journal.rows, strict=True)
            if row.valid and row.e2e_ms
        }
        return seen, {cell.key for cell in cells} - seen.keys()

    def _question(self, answer: Answer) -> RacedQuestion:
        best = self._cells[answer.best].configuration
        assert best.link is not None
        likeliest = sorted(answer.open, key=answer.open.__getitem__, reverse=True)
        return RacedQuestion(
            link=best.link.words,
            ue=best.pace.words,
            best=_label(self._cells[answer.best]),
            best_ms=answer.ms,
            low_ms=None if answer.measured else answer.low_ms,
            high_ms=None if answer.measured else answer.high_ms,
            not_seen=tuple(_label(self._cells[key]) for key in answer.needed),
            may_win=tuple(_label(self._cells[key]) for key in likeliest),
        )


def _entrant(cell: Cell, predicted: Mapping[str, Prediction], frames: int, seeded: bool) -> Entrant:
    asked = cell.configuration
    return Entrant(
        key=asked.key,
        question=(links_words(cell.links), asked.pace.words),
        anchor=asked.anchor,
        predicted=predicted[asked.key],
        frames=frames,
        fit=asked.lossless or not seeded,
        more_s=cell.delivery_ms / 1e3,
    )


def _label(cell: Cell) -> str:
    asked = cell.configuration
    named = asked.split_name if asked.anchor else cut_name(asked.split_name, asked.split)
    return named + as_codec(asked.codecs)
