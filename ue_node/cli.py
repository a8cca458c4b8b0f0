"""The `ue-node` command."""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from splitbed.command import run_command_line
from splitbed.node.command_line import Options, node_app, run_node

if TYPE_CHECKING:  # heavy imports wait until a command needs them
    from splitbed.node.config import NodeConfig, UeConfig
    from splitbed.node.host import NodeHost
    from splitbed.node.serve import Plane


def _configured(file: Path | None, options: Options) -> "NodeConfig":
    from splitbed.node.config import UeConfig, load_node_config

    return load_node_config(UeConfig, file, options)


def _serve(config: "NodeConfig") -> None:
    from splitbed.node.config import UeConfig
    from splitbed.security.addresses import ipv4_and_port

    assert isinstance(config, UeConfig)
    allowed = config.tls is not None or config.insecure
    address = ipv4_and_port(config.edge, allowed=allowed, doing="send to")
    run_node("ue", config, lambda host, stack: _planes(config, address, host, stack))


def _planes(
    config: "UeConfig", address: tuple[str, int], host: "NodeHost", stack: ExitStack
) -> "Sequence[Plane]":
    from netem.service import serve_shaper
    from splitbed.node.interface import tell_interface
    from splitbed.node.serve import ORCHESTRATOR, Plane
    from splitbed.node.stream import Dialled
    from splitbed.security.access import read_token
    from splitbed.v1 import nodes_pb2_grpc as rpc
    from splitbed.wire import CONTROL_OPTIONS
    from ue_node.service import UeService

    shaper = stack.enter_context(serve_shaper(config.shaper, address[1], host.description))
    dev = config.shaper.dev if config.shaper else None
    tell_interface(host.description, address[0], dev)
    edge = Dialled("edge", config.edge, config.tls, read_token(config.token_file))
    stack.callback(edge.close)
    service = UeService(host, edge)
    stack.callback(service.forget)
    services = {
        "splitbed.v1.Node": lambda s: rpc.add_NodeServicer_to_server(host, s),
        "splitbed.v1.Ue": lambda s: rpc.add_UeServicer_to_server(service, s),
    }
    control = (config.control, ORCHESTRATOR, services | shaper, CONTROL_OPTIONS, host.lease)
    return [Plane(*control)]


app = node_app(
    "Runs part 1 of a split model on the UE and sends intermediate data to the edge.",
    ("edge", "IP:PORT of the edge's data plane."),
    _configured,
    _serve,
)


def main() -> None:
    """Entry point of `ue-node`."""
    run_command_line(app)
