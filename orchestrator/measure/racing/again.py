"""Which visits are made again since the machine was disturbed, and when that is given up.

They come when no others are left: after the grid, or where a race has nothing more to ask. What is
busy all the time is no quieter later.
"""

from collections.abc import Callable, Iterator, Sequence

from orchestrator.ask.sweep.cell import Visit
from orchestrator.measure.watcher import Watcher
from orchestrator.results.journal import Journal

MOST_AGAIN = 2
"""How often a cell that was disturbed is measured again …"""
MOST_IN_VAIN = 3
"""… until so many in a row were disturbed once more: the machine is as busy as before."""


def disturbed_again(
    visits: Sequence[Visit],
    journal: Journal,
    watcher: Watcher,
    fits: Callable[[Visit], bool] = lambda _: True,
) -> Iterator[Visit]:
    """Those of `visits` that were disturbed, up to twice; see MOST_IN_VAIN.

    Only what `fits` into the time that is left.
    """
    in_vain = 0
    for _ in range(MOST_AGAIN):
        disturbed, valid = journal.disturbed, journal.valid
        again = [visit for visit in visits if visit.key in disturbed and fits(visit)]
        if not again:
            return
        again.sort(key=lambda visit: visit.key in valid)  # first those that the verdict waits for
        watcher.again([visit.cell for visit in again])
        for visit in filter(fits, again):
            yield visit
            in_vain = in_vain + 1 if visit.key in journal.disturbed else 0
            if in_vain == MOST_IN_VAIN:
                watcher.note("the machine stays as busy: what was disturbed is not measured again")
                return
