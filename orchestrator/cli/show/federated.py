"""What federated averaging prints: a line for each cell, and for the anchor."""

from collections.abc import Sequence
from dataclasses import asdict

from orchestrator.federated.row import TargetRow
from orchestrator.reports.terminal import Line, rounded, show_lines
from splitbed.command import say

_SHOWN = {
    "ues": "UEs", "bw_mbit": "Mbit/s", "coder": "coder", "fault": "fault",
    "target_round": "rounds", "target_ms": "to the target ms", "accuracy": "accuracy",
    "up_bytes": "up", "down_bytes": "down", "missing": "missing",
}  # fmt: skip
"""Column -> heading."""


def show_targets(rows: Sequence[TargetRow]) -> None:
    """Print them, and what is wrong with any."""
    lines: list[Line] = [
        rounded({head: asdict(row)[name] for name, head in _SHOWN.items()} | {"": _word(row)})
        for row in rows
    ]
    show_lines(lines, as_json=False)
    for row in rows:
        if not row.valid:
            say(f"not valid: {row.ues} UEs, {row.bw_mbit:g} Mbit/s, {row.coder}: {row.reason}")


def _word(row: TargetRow) -> str:
    return "VALID" if row.valid else "INVALID"
