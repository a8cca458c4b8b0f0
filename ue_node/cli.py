"""The `ue-node` command."""

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from splitbed.command import run_command_line

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def ue_node() -> None:
    """Runs part 1 of a split model on the UE and sends intermediate data to the edge."""


@app.command()
def serve(
    edge: Annotated[str, typer.Option(help="IP:PORT of the edge node's data plane.")],
    control: Annotated[str, typer.Option(help="unix:PATH or IP:PORT for the orchestrator.")],
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Listen beyond loopback without TLS.")
    ] = False,
) -> None:
    """Serve until SIGTERM."""
    from splitbed import serve as serving
    from splitbed.host import NodeHost
    from splitbed.v1 import nodes_pb2_grpc as rpc
    from splitbed.wire import CONTROL_OPTIONS
    from ue_node.edge_client import EdgeClient
    from ue_node.service import UeService

    control_address = serving.checked_address(control, insecure=insecure)
    with tempfile.TemporaryDirectory(prefix="ue-node-") as folder:
        host = NodeHost("ue", Path(folder))
        client = EdgeClient(serving.checked_address(edge, insecure=True))
        service = UeService(host, client)
        serving.until_told_to_stop(
            serving.start(
                control_address,
                lambda s: rpc.add_NodeServicer_to_server(host, s),
                lambda s: rpc.add_UeServicer_to_server(service, s),
                options=CONTROL_OPTIONS,
            )
        )
        service.close()
        client.close()


def main() -> None:
    """Entry point of `ue-node`."""
    run_command_line(app)
