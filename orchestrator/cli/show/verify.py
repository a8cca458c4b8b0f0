"""What `orchestrate verify` prints while it verifies."""

import json
import sys
from pathlib import Path

from orchestrator.ask.sweep.config import SweepConfig
from orchestrator.checks.verify import Verification, to_csv, verify
from orchestrator.testbed.local import local_model
from splitbed.command import say
from splitbed.errors import RunError
from splitbed.graphs.graph import why_runs_differ
from splitbed.media.files import check_new, write_new


def run_verify(config: SweepConfig, out: Path | None, *, as_json: bool) -> int:
    """Print a line per picture and split; 0 when all passed, else 1."""
    check_new(out)
    checks: list[Verification] = []
    with local_model(config) as local:
        for check in verify(config, local):
            checks.append(check)
            if not as_json:
                say(_words(check))
        weights, graph = local.model.facts.weights, local.model.graph
    failed = sum(check.verdict == "FAILED" for check in checks)
    if out:
        write_new(out, to_csv(checks))
    if as_json:
        sys.stdout.write(json.dumps([check.row() for check in checks], indent=2) + "\n")
    else:
        worst = max(check.max_abs_diff for check in checks)
        say(
            f"{'FAILED' if failed else 'PASSED'}: {len(checks) - failed} of {len(checks)} passed, "
            f"largest difference {worst:.3g}; {config.model}, weights: {weights}"
        )
    if failed and graph.drawing:
        say(why_runs_differ(graph.drawing), stderr=True)
    return RunError.exit_code if failed else 0


def _words(check: Verification) -> str:
    where = check.split if check.split == check.split_name else f"{check.split_name} {check.split}"
    differences = check.row()["differences"]
    told = f" ({differences})" if check.max_abs_diff else ""
    return f"{check.verdict}: {where} {check.picture}{told}"
