"""The `ue-node` command."""

from pathlib import Path
from typing import TYPE_CHECKING

from splitbed.command import run_command_line
from splitbed.node.command_line import Options, node_app

if TYPE_CHECKING:  # heavy imports wait until a command needs them
    from splitbed.node.config import NodeConfig


def _configured(file: Path | None, options: Options) -> "NodeConfig":
    from splitbed.node.config import UeConfig, load_node_config

    return load_node_config(UeConfig, file, options)


def _serve(config: "NodeConfig") -> None:
    from splitbed.node.config import UeConfig
    from splitbed.security.addresses import data_address

    assert isinstance(config, UeConfig)
    allowed = config.tls is not None or config.insecure
    for address in config.dials.values():
        data_address(address, allowed=allowed, doing="send to")
    from splitbed.node.running import run_node
    from ue_node.planes import planes

    run_node("ue", config, lambda host, stack: planes(config, host, stack))


app = node_app(
    "Runs part 1 of a split model on the UE and sends intermediate data to the edge.",
    {
        "edge": "IP:PORT of the edge's data plane.",
        "infer": "IP:PORT where clients of the Open Inference Protocol are answered.",
    },
    _configured,
    _serve,
)


def main() -> None:
    """Entry point of `ue-node`."""
    run_command_line(app, service=True)
