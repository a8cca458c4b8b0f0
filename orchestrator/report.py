"""What a sweep shows: progress on stderr; table, verdict and advice on stdout."""

import json
import sys

from rich.console import Console
from rich.markup import escape

from orchestrator.progress import SweepProgress
from orchestrator.sweep import Outcome
from orchestrator.table import sweep_table

_PLAIN_WIDTH = 160  # a table in a file or a pipe is not folded to 80 columns


def stdout() -> Console:
    """A console on stdout that does not fold tables when nobody watches."""
    return Console(width=None if sys.stdout.isatty() else _PLAIN_WIDTH, highlight=False)


def progress() -> SweepProgress:
    """Progress on stderr."""
    return SweepProgress(Console(stderr=True, highlight=False))


def show(outcome: Outcome, *, as_json: bool) -> None:
    """Print what the sweep found, as a table or as JSON."""
    verdict = outcome.verdict
    if as_json:
        answer = {
            "run": str(outcome.folder),
            "verdict": verdict.word,
            "reasons": verdict.reasons,
            "advice": verdict.advice,
            "rows": outcome.rows,
        }
        sys.stdout.write(json.dumps(answer, indent=2) + "\n")
        return
    console = stdout()
    if outcome.rows:
        first = outcome.rows[0]
        console.print(
            f"{first['model']}, weights: {first['weights']}, codec raw, "
            f"link shaped by {first['link_backend']}"
        )
        console.print(sweep_table(outcome.rows))
    colour = "green" if verdict.valid else "red"
    console.print(f"[bold {colour}]{verdict.word}[/]")
    for reason in verdict.reasons:
        console.print(f"  {escape(reason)}", soft_wrap=True)
    for advice in verdict.advice:
        console.print(f"- {escape(advice)}", soft_wrap=True)
    console.print(f"Rows: {outcome.folder}/summary.csv", soft_wrap=True)
    if outcome.stopped is not None:
        resume = f"orchestrate sweep --resume {outcome.folder}"
        console.print(f"Go on with: {resume}", soft_wrap=True)
