"""What `orchestrate increments` prints: a line for each version of the model and each link."""

from dataclasses import asdict

from orchestrator.reports.terminal import Line, rounded, show_lines
from orchestrator.scenarios.clause_10_6 import leave
from orchestrator.transit.incremental import Outcome
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
    """Print the rows, and what is wrong with any; leave the clause's tables with them."""
    leave(outcome.rows, outcome.folder)
    lines: list[Line] = [asdict(row) for row in outcome.rows]
    if as_json:
        show_lines(lines, as_json=True)
    else:
        linked = any(row.bw_mbit is not None for row in outcome.rows)
        heads = {name: head for name, head in _HEADS.items() if linked or name not in _OF_LINK}
        show_lines([_shown(line, heads) for line in lines], as_json=False)
    for row in outcome.rows:
        if row.fault:
            over = f" over {row.bw_mbit:g} Mbit/s" if row.bw_mbit is not None else ""
            say(f"{row.coder_name}{over}: {row.fault}", stderr=True)
    if not as_json:
        say(f"results: {outcome.folder.path}")


def _shown(line: Line, heads: dict[str, str]) -> Line:
    return rounded({head: line[name] for name, head in heads.items()})
