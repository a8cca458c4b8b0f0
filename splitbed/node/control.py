"""The control plane that every node has: itself, the parts that it holds, its stations."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack

import grpc

from splitbed.node.config import NodeConfig
from splitbed.node.host import NodeHost
from splitbed.node.parts.service import PartsService
from splitbed.node.source.inputs import Source
from splitbed.node.stations.frames import Frames
from splitbed.node.stations.neighbours import Neighbours
from splitbed.node.stations.passing import Passing
from splitbed.node.stations.references import References
from splitbed.node.stations.service import StationsService
from splitbed.node.streams.connection import Dialled
from splitbed.security.access import read_token
from splitbed.v1 import nodes_pb2_grpc as rpc

Services = dict[str, Callable[[grpc.Server], None]]
"""By full name, how each is added to a server."""


def dialled(config: NodeConfig, stack: ExitStack) -> dict[str, Dialled]:
    """The nodes that this one dials, by name; none is asked for anything yet."""
    token, found = read_token(config.token_file), {}
    for name, address in config.dials.items():
        found[name] = Dialled(name, address, config.tls, token)
        stack.callback(found[name].close)
    return found


def control_of(host: NodeHost, far: Mapping[str, Dialled]) -> tuple[Passing, Services]:
    """What takes frames through this node, and its services; ``far`` are those that it dials."""
    frames = Frames(
        host.held,
        Source(host.folder / "inputs", host.limits),
        References(host.folder / "references", host.limits),
        host.limits,
    )
    passing = Passing(frames, host.in_flight, Neighbours(far))
    host.forget += [passing.cancel, frames.forget]
    parts = PartsService(host, next(iter(far.values()), None))
    stations = StationsService(passing)
    return passing, {
        "splitbed.v1.Node": lambda s: rpc.add_NodeServicer_to_server(host, s),
        "splitbed.v1.Parts": lambda s: rpc.add_PartsServicer_to_server(parts, s),
        "splitbed.v1.Stations": lambda s: rpc.add_StationsServicer_to_server(stations, s),
    }
