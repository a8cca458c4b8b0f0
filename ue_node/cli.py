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
    from splitbed.security.addresses import data_address

    assert isinstance(config, UeConfig)
    allowed = config.tls is not None or config.insecure
    for address in config.dials.values():
        data_address(address, allowed=allowed, doing="send to")
    run_node("ue", config, lambda host, stack: _planes(config, host, stack))


def _planes(config: "UeConfig", host: "NodeHost", stack: ExitStack) -> "Sequence[Plane]":
    from netem.service import links_service, serve_shapers
    from splitbed.node.control import control_of, dialled
    from splitbed.node.interface import tell_interface
    from splitbed.node.serve import CLIENTS, ORCHESTRATOR, Plane
    from splitbed.security.addresses import host_and_port
    from splitbed.v1 import nodes_pb2_grpc as rpc
    from splitbed.v1.inference_pb2_grpc import add_GRPCInferenceServiceServicer_to_server
    from splitbed.wire import CONTROL_OPTIONS
    from ue_node.inference.service import SERVICE, InferenceService
    from ue_node.service import UeService

    links = stack.enter_context(serve_shapers(config, host.description))
    links |= links_service(config.dials)
    far = dialled(config, stack)
    first = next(iter(far.values()))
    dev = config.shaper[0].dev if config.shaper else None
    tell_interface(host.description, host_and_port(first.address)[0], dev)
    passing, services = control_of(host, far)
    service = UeService(host)
    passing.frames.slowed = service.slowed
    stack.callback(service.forget)
    services |= {"splitbed.v1.Ue": lambda s: rpc.add_UeServicer_to_server(service, s)}
    control = (config.control, ORCHESTRATOR, services | links, CONTROL_OPTIONS, host.lease)
    planes = [Plane(*control)]
    if config.infer:
        answers = InferenceService(passing, host.limits)
        added = {SERVICE: lambda s: add_GRPCInferenceServiceServicer_to_server(answers, s)}
        planes.append(Plane(config.infer, CLIENTS, added, CONTROL_OPTIONS))
        host.description.infer = config.infer
    return planes


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
