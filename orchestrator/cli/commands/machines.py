"""The commands of `orchestrate` for machines: this one, and those that nodes run on."""

from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.options import Json, option
from orchestrator.cli.watch.heartbeat import alive
from splitbed.command import Commands, say

machines_app = Commands()

Topology = Annotated[Path, typer.Argument(help="YAML like topologies/two-machines.yaml.")]


@machines_app.command()
def doctor(json: Json = False) -> None:
    """Say what this machine can do, which link it will use, and what to install for more."""
    from orchestrator.cli.show import machine

    raise typer.Exit(machine.doctor(as_json=json))


@machines_app.command()
def clean() -> None:
    """Remove what killed runs left behind: this tool's own, and nothing of a run that lives."""
    from orchestrator.cli.show import machine

    machine.clean()


@machines_app.command()
def up(topology: Topology) -> None:
    """Start the nodes of a topology over SSH, where it gives hosts."""
    from orchestrator.ask.topology import load_machines
    from orchestrator.testbed import ssh as remote

    with alive("starting the nodes"):
        for line in remote.up(load_machines(topology)):
            say(line)


@machines_app.command()
def down(topology: Topology) -> None:
    """End the nodes that `up` started."""
    from orchestrator.ask.topology import load_machines
    from orchestrator.testbed import ssh as remote

    with alive("ending the nodes"):
        for line in remote.down(load_machines(topology)):
            say(line)


@machines_app.command()
def dashboard(
    prometheus: Annotated[str, option("Its address. [http://127.0.0.1:9090]")] = (
        "http://127.0.0.1:9090"
    ),
    listen: Annotated[str, option("IP:PORT of the page. [127.0.0.1:9300]")] = "127.0.0.1:9300",
) -> None:
    """Serve the dashboard of deploy/grafana as a page, for who has no Grafana."""
    from orchestrator.reports.dashboard import serve_dashboard

    serve_dashboard(prometheus, listen)
