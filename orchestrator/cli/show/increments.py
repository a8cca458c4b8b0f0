"""What `orchestrate increments` prints: a line for each version of the model and each link."""

from collections.abc import Sequence
from dataclasses import asdict

from orchestrator.reports.terminal import Line, rounded, show_lines
from orchestrator.scenarios.clause_10_6 import leave
from orchestrator.transit.incremental import Outcome
from orchestrator.transit.incremental_row import IncrementRow
from splitbed.command import say

_HEADS = {
    "version": "version",
    "precision_bit": "bits",
    "rec_size": "bytes",
    "rec_perf": "accuracy",
    "bw_mbit": "Mbit/s",
    "link_ms": "link ms",
    "link_bound_ms": "bound",
    "open_ms": "open",
    "startup_ms": "start-up ms",
    "since_request_ms": "since request ms",
    "inferences_meanwhile": "inferences meanwhile",
    "ue_perf": "accuracy, UE",
}
"""Column -> heading."""
_OF_LINK = [*_HEADS][4:]


def show_increments(outcome: Outcome, *, as_json: bool) -> None:
    """Print the rows, and leave the clause's tables with them."""
    leave(outcome.rows, outcome.folder)
    if as_json:
        show_lines([asdict(row) for row in outcome.rows], as_json=True)
        return
    show_rows(outcome.rows)
    say(f"results: {outcome.folder.path}")


def show_rows(rows: Sequence[IncrementRow]) -> None:
    """Print the rows of one model or several, and what is wrong with any."""
    linked = any(row.bw_mbit is not None for row in rows)
    heads = {name: head for name, head in _HEADS.items() if linked or name not in _OF_LINK}
    if len({row.model_name for row in rows}) > 1:
        heads = {"model_name": "model", **heads}
    show_lines([_shown(asdict(row), heads) for row in rows], as_json=False)
    for row in rows:
        if row.fault:
            over = f" over {row.bw_mbit:g} Mbit/s" if row.bw_mbit is not None else ""
            say(f"{row.model_name} as {row.coder_name}{over}: {row.fault}", stderr=True)


def _shown(line: Line, heads: dict[str, str]) -> Line:
    return rounded({head: line[name] for name, head in heads.items()})
