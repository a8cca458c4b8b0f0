"""The `edge-node` command."""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from splitbed.command import run_command_line
from splitbed.node.command_line import Options, node_app, run_node

if TYPE_CHECKING:  # heavy imports wait until a command needs them
    from splitbed.node.config import EdgeConfig, NodeConfig
    from splitbed.node.host import NodeHost
    from splitbed.node.serve import Plane


def _configured(file: Path | None, options: Options) -> "NodeConfig":
    from splitbed.node.config import EdgeConfig, load_node_config

    return load_node_config(EdgeConfig, file, options)


def _serve(config: "NodeConfig") -> None:
    from splitbed.node.config import EdgeConfig
    from splitbed.security.addresses import data_address

    assert isinstance(config, EdgeConfig)
    allowed = config.tls is not None or config.insecure
    address = data_address(config.listen, allowed=allowed)
    for far in config.dials.values():
        data_address(far, allowed=allowed, doing="send to")
    run_node("edge", config, lambda host, stack: _planes(config, address, host, stack))


def _planes(
    config: "EdgeConfig", address: tuple[str, int], host: "NodeHost", stack: ExitStack
) -> "Sequence[Plane]":
    from edge_node.service import ModelService
    from netem.probe.server import ProbeServer
    from netem.service import links_service, serve_shapers
    from splitbed.node.control import control_of, dialled
    from splitbed.node.interface import tell_interface
    from splitbed.node.serve import NODES, ORCHESTRATOR, Plane
    from splitbed.node.stations.data import DataService
    from splitbed.v1 import nodes_pb2_grpc as rpc
    from splitbed.wire import CONTROL_OPTIONS

    probe = stack.enter_context(ProbeServer(*address))
    host.description.probe_port = probe.address[1]
    host.description.probe_token = probe.token
    links = stack.enter_context(serve_shapers(config, host.description))
    links |= links_service(config.dials)
    dev = config.shaper[0].dev if config.shaper else None
    tell_interface(host.description, address[0], dev)
    passing, services = control_of(host, dialled(config, stack))
    models = ModelService(host, passing.frames.references)
    data = DataService(passing, models.parcel, address[1])
    services |= {"splitbed.v1.Edge": lambda s: rpc.add_EdgeServicer_to_server(models, s)}
    return [
        Plane(
            config.listen,
            NODES,
            {"splitbed.v1.Data": data.add_to},
            over_link=True,
        ),
        Plane(config.control, ORCHESTRATOR, services | links, CONTROL_OPTIONS, host.lease),
    ]


app = node_app(
    "Runs part 2 of a split model on the edge server.",
    {"listen": "IP:PORT where intermediate data comes in."},
    _configured,
    _serve,
)


def main() -> None:
    """Entry point of `edge-node`."""
    run_command_line(app, service=True)
