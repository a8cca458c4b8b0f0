"""The `orchestrate` command."""

import os

from orchestrator.cli.commands.capacity import capacity_app
from orchestrator.cli.commands.check import check_app
from orchestrator.cli.commands.clients import clients_app
from orchestrator.cli.commands.listings import listings_app
from orchestrator.cli.commands.machines import machines_app
from orchestrator.cli.commands.measure import measure_app
from orchestrator.cli.commands.models import models_app
from orchestrator.cli.commands.offline import offline_app
from orchestrator.cli.commands.plan import plan_app
from orchestrator.cli.commands.report import report_app
from orchestrator.cli.commands.scenario import scenarios
from orchestrator.cli.commands.trace import trace_app
from splitbed.command import program, run_command_line

app = program("Where should this network be cut, over this link? Measured, not computed.")
for more in (measure_app, models_app, offline_app):
    app.add_typer(more)
app.add_typer(scenarios, name="scenario")
for more in (report_app, check_app, plan_app, capacity_app, trace_app, clients_app):
    app.add_typer(more)
for more in (listings_app, machines_app):
    app.add_typer(more)


def main() -> None:
    """Entry point of `orchestrate`."""
    # what its core would write to stderr is told by our errors, in words
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    run_command_line(app)
