"""What came out of a trace, as a user is told it."""

import json
import sys

from orchestrator.adapt.run import TraceOutcome
from orchestrator.reports.terminal import show_lines
from splitbed.command import INTERRUPTED
from splitbed.errors import RunError, SplitbedError

_SHOWN = (
    "policy", "frames", "lost", "mean_ms", "p95_ms", "regret_pct", "switches", "steps",
    "readapted", "readapt_s",
)  # fmt: skip


def _shown(value: object) -> object:
    if isinstance(value, float):
        return round(value, 2)
    return "" if value is None else value


def show(outcome: TraceOutcome, *, as_json: bool) -> int:
    """Print what came out; 1 where a frame was lost, or what ended the run asks for, else 0."""
    folder = str(outcome.folder.path)
    said = None if outcome.stopped is None else str(outcome.stopped) or "interrupted"
    if as_json:
        answer = {"run": folder, "stopped": said, "rows": [row.plain() for row in outcome.rows]}
        sys.stdout.write(json.dumps(answer, indent=2) + "\n")
    else:
        lines = [{name: _shown(getattr(row, name)) for name in _SHOWN} for row in outcome.rows]
        show_lines(lines, as_json=False)
        told = f"Stopped: {said}\n" if said else ""
        sys.stdout.write(f"{told}Frames, rows and the picture over time: {folder}\n")
    match outcome.stopped:
        case SplitbedError() as error:
            return error.exit_code
        case KeyboardInterrupt():
            return INTERRUPTED
    lost = any(row.lost for row in outcome.rows)
    return RunError.exit_code if lost or not outcome.rows else 0
