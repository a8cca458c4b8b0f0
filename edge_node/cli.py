"""The `edge-node` command."""

from pathlib import Path
from typing import TYPE_CHECKING

from splitbed.command import run_command_line
from splitbed.node.command_line import Options, node_app

if TYPE_CHECKING:  # heavy imports wait until a command needs them
    from splitbed.node.config import NodeConfig


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
    from edge_node.planes import planes
    from splitbed.node.running import run_node

    run_node("edge", config, lambda host, stack: planes(config, address, host, stack))


app = node_app(
    "Runs part 2 of a split model on the edge server.",
    {"listen": "IP:PORT where intermediate data comes in."},
    _configured,
    _serve,
)


def main() -> None:
    """Entry point of `edge-node`."""
    run_command_line(app, service=True)
