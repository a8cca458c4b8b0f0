"""What a race has answered, as sentences."""

from collections.abc import Sequence

from orchestrator.results.records import RunRecord
from orchestrator.results.rows import Row


def raced(run: RunRecord, table: Sequence[Row]) -> list[str]:
    """How much of the grid was measured, and over which links the best is not sure."""
    if not run.raced:
        return []
    unsure = [one for one in run.raced if not one.sure]
    sure = "" if unsure else ", none of which is believed able to win"
    return [
        f"{len(table)} of {len(run.grid)} cells were measured, {len(run.predicted)} are "
        f"predicted{sure}.",
        *(f"Not sure. {one.words}; a longer --budget tells." for one in unsure),
    ]


def nothing_raced(run: RunRecord, table: Sequence[Row]) -> str | None:
    """Why a race is INVALID that had no time for a cell."""
    if table or not run.predicted:
        return None
    return (
        "nothing was measured, every time is predicted: no cell would have ended in the budget, "
        "give a longer --budget"
    )
