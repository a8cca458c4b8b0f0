"""What arms lose of the whole model's accuracy: which may be chosen, and what is said of others.

As in a sweep: only an arm of which it is sure that it loses no more than `--max-drop` is fit.
Others are measured where a static policy asks for them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from orchestrator.adapt.arms import ArmKey
from orchestrator.adapt.rows import TraceRow
from orchestrator.ask.configuration import Configuration
from orchestrator.results.judgement.accuracy import (
    Fitness,
    drawn,
    drop_words,
    fitness_of,
    over_inputs,
)
from orchestrator.results.records import Accuracy


@dataclass(frozen=True)
class Losses:
    """`accuracy` is that of lossy arms, as it was judged; `weights` as run.json tells them."""

    weights: str
    max_drop: float
    accuracy: Mapping[ArmKey, Accuracy]

    def fitness(self, asked: Configuration) -> Fitness:
        """What accuracy says of an arm; one that loses nothing is fit."""
        if asked.lossless:
            return Fitness.FIT
        judged = self.accuracy.get((asked.k, asked.codec))
        if drawn(self.weights) or judged is None or judged.drop is None:
            return Fitness.UNKNOWN
        return fitness_of(judged.drop, judged.drop_low, judged.drop_high, self.max_drop)

    def drop(self, asked: Configuration) -> float | None:
        """What an arm loses; None where that is not known."""
        judged = self.accuracy.get((asked.k, asked.codec))
        return 0.0 if asked.lossless else judged.drop if judged else None

    def is_fit(self, asked: Configuration) -> bool:
        """Whether a policy may choose it."""
        return self.fitness(asked) is Fitness.FIT

    def plain(self, asked: Configuration) -> dict[str, object]:
        """As trace.json has it."""
        judged = self.accuracy.get((asked.k, asked.codec))
        return {"fitness": self.fitness(asked), "accuracy": judged.plain() if judged else None}

    def words(self, asked: Configuration) -> str:
        """Why an arm that is not fit is not."""
        judged = self.accuracy.get((asked.k, asked.codec))
        if judged is None or judged.drop is None:
            return f"{asked.words} was not judged"
        drop = drop_words(judged.drop, judged.drop_low, judged.drop_high)
        lost = f"{drop} of {judged.metric}{over_inputs(judged.frames)}"
        doubt = " and is undecided" if self.fitness(asked) is Fitness.UNDECIDED else ""
        return f"{asked.words} loses {lost}{doubt}"

    def told(self, asked: Sequence[Configuration]) -> list[str]:
        """Which arms no policy chooses, and why."""
        if not (unfit := [one for one in asked if not self.is_fit(one)]):
            return []
        if drawn(self.weights):
            named = ", ".join(one.words for one in unfit)
            return [
                "The weights are seeded, not trained: what lossy codecs cost in accuracy is "
                f"unknown, so no policy chooses {named}; --weights FILE takes trained ones."
            ]
        named = "; ".join(map(self.words, unfit))
        return [f"No policy chooses what may lose more than --max-drop {self.max_drop:g}: {named}."]


def least(rows: Sequence[TraceRow], unfit: Sequence[str], unsteady: float) -> list[str]:
    """Which policy took least, and which arm that stays, but for those statics that are unfit.

    Turns follow one another: where the machine was `unsteady` by as much between them as policies
    differ, none is named.
    """
    ranked = sorted(
        (row.mean_ms, row.policy)
        for row in rows
        if row.mean_ms is not None and row.policy not in unfit
    )
    if len(ranked) < 2:
        return []
    (best_ms, best), still = ranked[0], [one for one in ranked if one[1].startswith("static:")]
    beaten_ms = still[0][0] if still and still[0][1] != best else ranked[1][0]
    if beaten_ms < best_ms * (1 + unsteady):
        return [
            f"Which policy took least cannot be told: the same arm took up to {unsteady:.0%} more "
            "in one turn than in another. A quiet machine tells."
        ]
    sentence = f"In one pass over the trace {best} took least: {best_ms:.2f} ms a frame"
    if not still or still[0][1] == best:
        next_ms, following = ranked[1]
        return [f"{sentence}; then {following}, {_more(next_ms, best_ms)}."]
    still_ms, name = still[0]
    return [f"{sentence}; {name}, the best arm that stays, took {_more(still_ms, best_ms)}."]


def _more(ms: float, than_ms: float) -> str:
    return f"{ms:.2f} ms, {(ms / than_ms - 1) * 100:.1f} % more"
