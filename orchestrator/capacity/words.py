"""What a search came to, in sentences."""

from collections.abc import Sequence

from orchestrator.results.records.capacity import CapacityRow, Trial

CLEARLY = 1.05
"""By less than that one carries more than another, nobody can tell."""


def answers(rows: Sequence[CapacityRow]) -> list[str]:
    """A sentence of each configuration, and of each link with several, which carries most."""
    return [*map(answer, rows), *_most(rows)]


def answer(row: CapacityRow) -> str:
    """What it carries, and what bounds it."""
    if row.error:
        return f"{row.place}: no answer, {row.error}."
    if row.last_passing is None and row.first_failing is None:
        return f"{row.place} carries nothing within {row.bound_by}: {row.why}."
    if row.last_passing is None:
        assert row.first_failing is not None
        return (
            f"{row.place} carries less than {row.amount(row.first_failing)}, the least that was "
            f"tried: {row.why}."
        )
    held = f"{row.confirmed} of {row.confirming} confirming runs held"
    carries = f"{row.place} carries {row.amount(row.last_passing)} ({held}{_law(row)})"
    if row.first_failing is None:
        return f"{carries}: the most that was to be tried."
    return f"{carries}, not {row.amount(row.first_failing)}: {row.why}."


def _law(row: CapacityRow) -> str:
    return f"; Little's law: {row.law}" if row.law else ""


def _most(rows: Sequence[CapacityRow]) -> list[str]:
    said = []
    for where in dict.fromkeys((row.link, row.ue) for row in rows):
        own = [one for one in rows if (one.link, one.ue) == where and one.last_passing]
        ranked = sorted(own, key=lambda one: one.last_passing or 0.0, reverse=True)
        if len(ranked) < 2:
            continue
        fastest = min(own, key=lambda one: one.e2e_ms or 0.0)
        named = f"At {ranked[0].link}{f', UE {ranked[0].ue}' if ranked[0].ue else ''}"
        most = _amount(ranked[0])
        told = f"{named} {ranked[0].with_codec} carries most, {most}"
        if (ranked[0].last_passing or 0) < CLEARLY * (ranked[1].last_passing or 0):
            told += f", about as much as {ranked[1].with_codec}, {_amount(ranked[1])}"
        if fastest is not ranked[0]:
            told += f"; fastest for a single frame is {fastest.with_codec}, {_amount(fastest)}"
        said.append(f"{told}.")
    return said


def _amount(row: CapacityRow) -> str:
    return row.amount(row.last_passing or 0.0)


def trial_words(place: str, amount: str, trial: Trial) -> str:
    """A run, as it has ended."""
    if trial.held is None:
        return f"{place}, {amount}: not measured, {trial.why}"
    if not trial.held:
        return f"{place}, {amount}: does not hold, {trial.why}"
    told = [f"{name} {ms:.4g} ms" for name, ms in trial.times_ms.items() if ms is not None]
    return f"{place}, {amount}: holds, {', '.join(told)}"
