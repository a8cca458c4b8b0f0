"""Results on stdout: tables, verdict and advice, or JSON."""

import json
import os
import sys
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.text import Text

from orchestrator.ask.split_point import NOTHING
from orchestrator.reports.grid import Grid, GridColumn
from orchestrator.reports.load_table import load_table
from orchestrator.reports.table import sweep_table
from orchestrator.results.judgement.verdict import JudgedRun, SweepOutcome, Verdict
from orchestrator.results.rows import Row
from splitbed.command import printable, say

Line = dict[str, object]
_PLAIN_WIDTH = 160  # a table in a file or a pipe is not folded to 80 columns
_LONG = 1000  # lines; more are searched rather than read


class Plain(Console):
    """A console that prints a text as it is, whoever wrote it: style stands beside it, as Text."""

    def __init__(self, *, stderr: bool = False, width: int | None = None) -> None:
        super().__init__(stderr=stderr, width=width, markup=False, emoji=False, highlight=False)

    def render_str(self, text: str, **how: object) -> Text:
        """The text, in which no character commands the terminal."""
        return super().render_str(printable(text), **how)  # type: ignore[arg-type]


def stdout() -> Plain:
    """A console on stdout that does not fold tables when nobody watches, unless COLUMNS says so."""
    watched = sys.stdout.isatty() or "COLUMNS" in os.environ
    return Plain(width=None if watched else _PLAIN_WIDTH)


def show_lines(lines: Sequence[Line], *, as_json: bool) -> None:
    """Print lines of the same keys as a table or as JSON."""
    if as_json:
        sys.stdout.write(json.dumps(lines, indent=2) + "\n")
        return
    if not lines:
        sys.stdout.write("none\n")
        return
    if len(lines) > _LONG:
        _show_unfolded(lines)
        return
    columns = [
        GridColumn(
            name,
            [Text(_cell(line[name])) for line in lines],
            right=any(isinstance(line[name], int | float) for line in lines),
        )
        for name in lines[0]
    ]
    Grid(columns).show(stdout())


def rounded(line: Mapping[str, object]) -> Line:
    """Its numbers to four places; what is not known is empty."""
    return {name: _to_four_places(value) for name, value in line.items()}


def _to_four_places(value: object) -> object:
    if isinstance(value, float):
        return round(value, 4)
    return "" if value is None else value


def _show_unfolded(lines: Sequence[Line]) -> None:
    """A line each, since to fold the cells of many takes Rich a millisecond a line."""
    rows = [list(lines[0]), *([_cell(value) for value in line.values()] for line in lines)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    right = [isinstance(value, int | float) for value in lines[0].values()]
    for row in rows:
        cells = zip(row, widths, right, strict=True)
        padded = (cell.rjust(width) if end else cell.ljust(width) for cell, width, end in cells)
        say("  ".join(padded).rstrip())


def _cell(value: object) -> str:
    return f"{value:,.6g}" if isinstance(value, float) else str(value)


def show(outcome: SweepOutcome, *, as_json: bool, resume: str = "") -> None:
    """Print what the sweep found, as a table or as JSON; `resume` is the command to go on with."""
    if as_json:
        rows = [row.plain() for row in outcome.rows]
        predicted = [row.plain() for row in outcome.every if row.predicted]
        show_json(outcome, rows=rows, predicted=predicted)
    else:
        _show(outcome, resume)
    show_unfinished(outcome)


def show_json(outcome: JudgedRun, **more: object) -> None:
    """Print where a run is and how it was judged, and `more` of it, as JSON."""
    verdict = outcome.verdict
    answer = {
        "run": str(outcome.folder),
        "verdict": verdict.word,
        "reasons": verdict.reasons,
        "advice": verdict.advice,
        **more,
    }
    sys.stdout.write(json.dumps(answer, indent=2) + "\n")


def show_unfinished(outcome: JudgedRun) -> None:
    """Say what could not be done with a run since it was judged."""
    for line in outcome.unfinished:
        say(f"error: {line}", stderr=True)


def _show(outcome: SweepOutcome, resume: str) -> None:
    verdict, console = outcome.verdict, stdout()
    if table := outcome.every or outcome.rows:
        first = table[0]
        console.print(
            f"{first.model}, weights: {first.weights}, codec {_codecs(table)}, "
            f"link shaped by {first.link_backend}"
        )
        sweep_table(table).show(console)
        if loads := load_table(table):
            loads.show(console)
    show_verdict(verdict, console)
    console.print(f"Rows: {outcome.folder}/summary.csv", soft_wrap=True)
    if outcome.stopped is not None:
        go_on = resume or f"orchestrate sweep --resume {outcome.folder}"
        console.print(f"Go on with: {go_on}", soft_wrap=True)


def show_verdict(verdict: Verdict, console: Plain) -> None:
    """Print the word, its reasons and the advice."""
    console.print(Text(verdict.word, "bold green" if verdict.valid else "bold red"))
    though = ["What its rows say, though the run is INVALID:"]
    for line in (
        *(f"  {reason}" for reason in verdict.reasons),
        *(though if verdict.advice and not verdict.valid else []),
        *(f"- {a}" for a in verdict.advice),
    ):
        console.print(line, soft_wrap=not console.is_terminal)


def _codecs(table: Sequence[Row]) -> str:
    """The codecs of the splits, or of the network anchor where nothing was split."""
    used = dict.fromkeys(row.codec for row in table if row.codec != NOTHING)
    return ", ".join(used)
