"""`python -m orchestrator.fleet.group`: a group's sweep as a process, asked as JSON on stdin."""

import json
import os
import sys
from contextlib import suppress
from pathlib import Path

from orchestrator.ask.sweep.config import sweep_config
from orchestrator.measure.sweep import Remeasure, run
from orchestrator.measure.watcher import Watcher
from splitbed.command import run_command_line


def main() -> None:
    """Exit as a sweep does, but 0 also where its verdict is INVALID."""
    run_command_line(_sweep)


def _sweep() -> None:
    told = json.load(sys.stdin)
    with suppress(PermissionError):  # Ray's workers are nice, and nodes of a sweep are not
        os.setpriority(os.PRIO_PROCESS, 0, 0)
    again: Remeasure | None = "invalid" if told["remeasure"] else None
    outcome = run(sweep_config(told["asked"]), Watcher(), Path(told["run"]), again)
    if outcome.stopped is not None:
        raise outcome.stopped


if __name__ == "__main__":
    main()
