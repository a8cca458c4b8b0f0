"""The `orchestrate` command."""

import os

from orchestrator.cli.check import check_app
from orchestrator.cli.local import local_app
from orchestrator.cli.look import look_app
from orchestrator.cli.machines import machines_app
from orchestrator.cli.measure import measure_app
from orchestrator.cli.plan import plan_app
from orchestrator.cli.report import report_app
from orchestrator.cli.scenario import scenarios
from orchestrator.cli.trace import trace_app
from splitbed.command import program, run_command_line

app = program("Where should this network be cut, over this link? Measured, not computed.")
for more in (measure_app, local_app):
    app.add_typer(more)
app.add_typer(scenarios, name="scenario")
for more in (report_app, check_app, plan_app, trace_app, look_app, machines_app):
    app.add_typer(more)


def main() -> None:
    """Entry point of `orchestrate`."""
    # what its core would write to stderr is told by our errors, in words
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    run_command_line(app)
