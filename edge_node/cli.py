"""The `edge-node` command."""

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from splitbed.command import run_command_line

if TYPE_CHECKING:  # heavy imports wait until a command needs them
    from splitbed.node.config import EdgeConfig

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def edge_node() -> None:
    """Runs part 2 of a split model on the edge server."""


@app.command()
def serve(
    config: Annotated[Path | None, typer.Option(help="YAML with these options as keys.")] = None,
    listen: Annotated[
        str | None, typer.Option(help="IP:PORT where intermediate data comes in.")
    ] = None,
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
    from splitbed.node.config import EdgeConfig, load_node_config

    options = {"listen": listen, "control": control, "metrics": metrics, "log": log}
    asked = load_node_config(EdgeConfig, config, options | {"insecure": insecure or None})
    if check:
        serving.check(asked)
    else:
        _serve(asked)


def _serve(config: "EdgeConfig") -> None:
    from edge_node.service import DataService, ModelService
    from netem.probe import ProbeServer
    from netem.service import serve_shaper
    from splitbed.logs import configure
    from splitbed.node import serve as serving
    from splitbed.node.host import NodeHost
    from splitbed.node.own_folder import own_folder
    from splitbed.security.addresses import ipv4_and_port
    from splitbed.telemetry import serving as serving_metrics
    from splitbed.v1 import nodes_pb2_grpc as rpc
    from splitbed.wire import CONTROL_OPTIONS

    configure(config.log)
    allowed = config.tls is not None or config.insecure
    host_ip, port = ipv4_and_port(config.listen, allowed=allowed)
    with ExitStack() as stack:
        folder = stack.enter_context(own_folder("edge-node-"))
        stack.enter_context(serving_metrics(config.metrics, config.tls, insecure=config.insecure))
        probe = stack.enter_context(ProbeServer(host_ip, port))
        host = NodeHost("edge", folder, config.limits)
        host.description.probe_port = probe.address[1]
        host.description.probe_token = probe.token
        shaper = stack.enter_context(serve_shaper(config.shaper, port, host.description))
        models = ModelService(host)
        data = DataService(host, models, port)
        planes = (
            serving.Plane(
                config.listen,
                serving.UE,
                {"splitbed.v1.Data": lambda s: rpc.add_DataServicer_to_server(data, s)},
            ),
            serving.Plane(
                config.control,
                serving.ORCHESTRATOR,
                {
                    "splitbed.v1.Node": lambda s: rpc.add_NodeServicer_to_server(host, s),
                    "splitbed.v1.Edge": lambda s: rpc.add_EdgeServicer_to_server(models, s),
                }
                | shaper,
                CONTROL_OPTIONS,
                host.lease,
            ),
        )
        serving.serve(config, host.in_flight, *planes)
    serving.end()


def main() -> None:
    """Entry point of `edge-node`."""
    run_command_line(app)
