"""The `ue-node` command."""

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from splitbed.command import run_command_line

if TYPE_CHECKING:  # heavy imports wait until a command needs them
    from splitbed.node.config import UeConfig

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def ue_node() -> None:
    """Runs part 1 of a split model on the UE and sends intermediate data to the edge."""


@app.command()
def serve(
    config: Annotated[Path | None, typer.Option(help="YAML with these options as keys.")] = None,
    edge: Annotated[str | None, typer.Option(help="IP:PORT of the edge's data plane.")] = None,
    control: Annotated[
        str | None, typer.Option(help="unix:PATH or IP:PORT for the orchestrator.")
    ] = None,
    metrics: Annotated[str | None, typer.Option(help="IP:PORT for Prometheus.")] = None,
    log: Annotated[str | None, typer.Option(help="console or json.")] = None,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Listen beyond loopback without TLS.")
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Ask the running node whether it serves; exit 0 or 1.")
    ] = False,
) -> None:
    """Serve until SIGTERM; what is in flight is finished."""
    from splitbed.node import serve as serving
    from splitbed.node.config import UeConfig, load_node_config

    options = {"edge": edge, "control": control, "metrics": metrics, "log": log}
    asked = load_node_config(UeConfig, config, options | {"insecure": insecure or None})
    if check:
        serving.check(asked)
    else:
        _serve(asked)


def _serve(config: "UeConfig") -> None:
    from netem.service import serve_shaper
    from splitbed.logs import configure
    from splitbed.node import serve as serving
    from splitbed.node.host import NodeHost
    from splitbed.node.own_folder import own_folder
    from splitbed.security.access import read_token
    from splitbed.security.addresses import ipv4_and_port
    from splitbed.telemetry import serving as serving_metrics
    from splitbed.v1 import nodes_pb2_grpc as rpc
    from splitbed.wire import CONTROL_OPTIONS
    from ue_node.edge_client import EdgeClient
    from ue_node.service import UeService

    configure(config.log)
    allowed = config.tls is not None or config.insecure
    _, port = ipv4_and_port(config.edge, allowed=allowed, doing="send to")
    with ExitStack() as stack:
        folder = stack.enter_context(own_folder("ue-node-"))
        stack.enter_context(serving_metrics(config.metrics, config.tls, insecure=config.insecure))
        host = NodeHost("ue", folder, config.limits)
        shaper = stack.enter_context(serve_shaper(config.shaper, port, host.description))
        client = EdgeClient(config.edge, config.tls, read_token(config.token_file))
        stack.callback(client.close)
        service = UeService(host, client)
        stack.callback(service.forget)

        control = serving.Plane(
            config.control,
            serving.ORCHESTRATOR,
            {
                "splitbed.v1.Node": lambda s: rpc.add_NodeServicer_to_server(host, s),
                "splitbed.v1.Ue": lambda s: rpc.add_UeServicer_to_server(service, s),
            }
            | shaper,
            CONTROL_OPTIONS,
            host.lease,
        )
        serving.serve(config, host.in_flight, control)
    serving.end()


def main() -> None:
    """Entry point of `ue-node`."""
    run_command_line(app)
