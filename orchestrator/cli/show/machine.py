"""What this machine can do, and what killed runs left on it."""

import json
import sys

from netem.backends import choose, diagnose
from orchestrator.federated import spark
from orchestrator.reports.terminal import Line, show_lines
from orchestrator.testbed.scratch import remove_abandoned
from splitbed.command import say
from splitbed.errors import MachineError
from splitbed.node import processor


def doctor(*, as_json: bool) -> int:
    """What this machine can do; 0 when it can shape links, else 3."""
    findings = [*diagnose(), *spark.findings()]
    try:
        backend, lacking = choose(), ""
    except MachineError as error:
        backend, lacking = "none", str(error)
    lines: list[Line] = [
        {"what": f.name, "works": "yes" if f.ok else "no", "detail": f.detail, "repair": f.repair}
        for f in findings
    ]
    if as_json:
        answer = {"link_backend": backend, "lacking": lacking, "findings": lines}
        sys.stdout.write(json.dumps(answer, indent=2) + "\n")
    else:
        show_lines(lines, as_json=False)
        say(f"{lacking}\n" if lacking else f"Links are shaped by: {backend}")
    return MachineError.exit_code if lacking else 0


def clean() -> None:
    """Remove what killed runs left, and say what that was."""
    removed = remove_abandoned()
    for found in removed:
        ended = f", ended processes {', '.join(map(str, found.pids))}" if found.pids else ""
        say(f"removed {found.folder}{ended}")
    groups = processor.remove_abandoned()
    for group in groups:
        say(f"removed {group}")
    if not removed and not groups:
        say("nothing to remove")
