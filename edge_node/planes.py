"""What the edge node serves, and on which ports."""

from collections.abc import Sequence
from contextlib import ExitStack

from edge_node.service import ModelService
from netem.probe.server import ProbeServer
from netem.service import links_service, serve_shapers
from splitbed.node.config import EdgeConfig
from splitbed.node.control import control_of, dialled
from splitbed.node.host import NodeHost
from splitbed.node.interface import tell_interface
from splitbed.node.serve import NODES, ORCHESTRATOR, Plane
from splitbed.node.stations.data import DataService
from splitbed.v1 import nodes_pb2_grpc as rpc
from splitbed.wire import CONTROL_OPTIONS


def planes(
    config: EdgeConfig, address: tuple[str, int], host: NodeHost, stack: ExitStack
) -> Sequence[Plane]:
    """Its data at an address, and its control; what they need ends with `stack`."""
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
