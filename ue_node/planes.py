"""What the UE node serves, and on which ports."""

from collections.abc import Sequence
from contextlib import ExitStack

from netem.service import links_service, serve_shapers
from splitbed.node.config import UeConfig
from splitbed.node.control import control_of, dialled
from splitbed.node.host import NodeHost
from splitbed.node.interface import tell_interface
from splitbed.node.serve import CLIENTS, ORCHESTRATOR, Plane
from splitbed.security.addresses import host_and_port
from splitbed.v1 import nodes_pb2_grpc as rpc
from splitbed.v1.inference_pb2_grpc import add_GRPCInferenceServiceServicer_to_server
from splitbed.wire import CONTROL_OPTIONS
from ue_node.inference.service import SERVICE, InferenceService
from ue_node.service import UeService


def planes(config: UeConfig, host: NodeHost, stack: ExitStack) -> Sequence[Plane]:
    """Its control, and what clients ask where it answers any; what they need ends with `stack`."""
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
    served = [Plane(*control)]
    if config.infer:
        answers = InferenceService(passing, host.limits)
        added = {SERVICE: lambda s: add_GRPCInferenceServiceServicer_to_server(answers, s)}
        served.append(Plane(config.infer, CLIENTS, added, CONTROL_OPTIONS))
        host.description.infer = config.infer
    return served
