"""How soon a race answers which split is best: SSD300 over three links."""

import time
from collections.abc import Iterator
from pathlib import Path

from orchestrator.api.sweep import follow
from orchestrator.results.reading import read_folder
from tests.bench.figure import Bar, Figure

BUDGET_S = 210.0


def figures(folder: Path) -> Iterator[Figure]:
    """Until the first answer, until the end, and how much of the grid was measured for it."""
    run, began_s, first_s = folder / "race", time.monotonic(), 0.0
    for step in follow("ssd300", bw="5,20,100", budget=BUDGET_S, out=run):
        if step.kind == "answer" and not first_s:
            first_s = time.monotonic() - began_s
    took_s = time.monotonic() - began_s
    reading = read_folder(run)
    sure = sum(one.sure for one in reading.run.raced)
    yield Figure("ssd300: first answer within a budget", first_s, "s", Bar(most=30))
    yield Figure("ssd300: all answers", took_s, "s", Bar(most=BUDGET_S))
    yield Figure("ssd300: answers that are sure, of 3", sure, "", Bar(least=3))
    yield Figure("ssd300: cells measured, of 51", len(reading.cells), "")
