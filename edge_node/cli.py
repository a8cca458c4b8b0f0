"""The `edge-node` command."""

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from splitbed.command import run_command_line

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def edge_node() -> None:
    """Runs part 2 of a split model on the edge server."""


@app.command()
def serve(
    listen: Annotated[str, typer.Option(help="IP:PORT where intermediate data comes in.")],
    control: Annotated[str, typer.Option(help="unix:PATH or IP:PORT for the orchestrator.")],
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Listen beyond loopback without TLS.")
    ] = False,
) -> None:
    """Serve until SIGTERM."""
    from edge_node.service import DataService, ModelService
    from netem.probe import ProbeServer
    from splitbed import serve as serving
    from splitbed.host import NodeHost
    from splitbed.v1 import nodes_pb2_grpc as rpc
    from splitbed.wire import CONTROL_OPTIONS

    data_address = serving.checked_address(listen, insecure=insecure)
    control_address = serving.checked_address(control, insecure=insecure)
    host_ip = data_address.rpartition(":")[0].strip("[]")
    with (
        tempfile.TemporaryDirectory(prefix="edge-node-") as folder,
        ProbeServer(host_ip) as probe,
    ):
        host = NodeHost("edge", Path(folder))
        host.description.probe_port = probe.address[1]
        host.description.probe_token = probe.token
        models = ModelService(host)
        data = DataService(host, models)
        serving.until_told_to_stop(
            serving.start(data_address, lambda s: rpc.add_DataServicer_to_server(data, s)),
            serving.start(
                control_address,
                lambda s: rpc.add_NodeServicer_to_server(host, s),
                lambda s: rpc.add_EdgeServicer_to_server(models, s),
                options=CONTROL_OPTIONS,
            ),
        )


def main() -> None:
    """Entry point of `edge-node`."""
    run_command_line(app)
