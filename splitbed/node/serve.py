"""Serving gRPC from a node: where it may listen, who may call, and how it ends."""

import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any, NoReturn, cast

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from splitbed.ending import on_signals
from splitbed.errors import MachineError, NodeError
from splitbed.logs import log
from splitbed.node.answering import Requests
from splitbed.node.calls.door import CHECKS, Door, Inline
from splitbed.node.calls.lease import Lease
from splitbed.node.calls.slots import PATIENCE_S, Slots
from splitbed.node.config import LEAST_CONNECTIONS, Limits, NodeConfig
from splitbed.security.access import (
    Guard,
    open_channel,
    read_token,
    server_credentials,
    why_unreachable,
)
from splitbed.security.addresses import checked_address
from splitbed.telemetry import FRAMES_IN_FLIGHT
from splitbed.wire import CHANNEL_OPTIONS


class _AllBut(Container[str]):
    """All names but some."""

    def __init__(self, *names: str) -> None:
        self._names = names

    def __contains__(self, name: object) -> bool:
        return name not in self._names


ORCHESTRATOR, NODES = ("orchestrator",), _AllBut("orchestrator", "client")
CLIENTS = ("client", "orchestrator")
_LAST_CALLS_S = 1.0
_CHECK_S = 3.0
_LOOK_S = 1.0
"""How often calls are looked for whose callers are silent."""
_OWN_DESCRIPTORS = 512
"""Of a node's, for what are no connections of its planes."""
_GREETED_MS = 10_000
"""Who connects has shown his certificate by then, and spoken HTTP/2."""
_LINK_S = 300
"""A link may be slow, or out: who calls over it may be silent for so long."""
_IDLE = "grpc.max_connection_idle_ms"
_PATIENT = {
    "grpc.keepalive_time_ms": 60_000,
    "grpc.keepalive_timeout_ms": _LINK_S * 1000,
    "grpc.http2.ping_timeout_ms": _LINK_S * 1000,
    _IDLE: 120_000,
}
_PROMPT = {  # beside the link: a machine that vanished is missed within 16 s
    "grpc.keepalive_time_ms": 8_000,
    "grpc.keepalive_timeout_ms": 8_000,
    "grpc.http2.ping_timeout_ms": 8_000,
    _IDLE: 30_000,
}


@dataclass(frozen=True)
class Plane:
    """One port of a node: its services, and the names whose certificates may call them.

    ``services`` says by full name how each is added to a server. One that has a lease is its
    holder's; without one, no caller may have more than half of its slots. Who calls ``over_link``
    may be silent for longer.
    """

    address: str
    names: Container[str]
    services: Mapping[str, Callable[[grpc.Server], None]]
    options: Sequence[tuple[str, int]] = tuple(CHANNEL_OPTIONS)
    lease: Lease | None = None
    over_link: bool = False


@dataclass
class InFlight:
    """The frames that a node is at; a node that ends finishes them, and takes no more."""

    last_s: float = 0.0
    """When a frame was last done (time.monotonic); one that fails is nobody's."""
    done: int = 0
    failed: int = 0
    _frames: int = 0
    _ending: bool = False
    _changed: threading.Condition = field(default_factory=threading.Condition)

    @contextmanager
    def frame(self) -> Iterator[None]:
        """Count what happens inside; NodeError once the node is ending."""
        with self._changed:
            if self._ending:
                raise NodeError("the node is shutting down: it takes no more frames")
            self._frames += 1
        FRAMES_IN_FLIGHT.inc()
        failed = True
        try:
            yield
            failed, self.last_s = False, time.monotonic()
        finally:
            FRAMES_IN_FLIGHT.dec()
            with self._changed:
                self._frames -= 1
                self.done, self.failed = self.done + (not failed), self.failed + failed
                self._changed.notify_all()

    @property
    def frames(self) -> int:
        """How many there are."""
        return self._frames

    def finish(self, grace_s: float) -> bool:
        """Take no more frames; whether those that were begun are done within `grace_s`."""
        with self._changed:
            self._ending = True
            return self._changed.wait_for(lambda: self._frames == 0, grace_s)


def serve(config: NodeConfig, in_flight: InFlight, *planes: Plane) -> None:
    """Serve until a signal ends it, then let the frames in flight finish.

    Raises UsageError for an address or certificates that cannot be used, MachineError for a port
    that is taken, and where this process may open too few files.
    """
    told = threading.Event()

    def stop(_signal: int, _frame: FrameType | None) -> None:
        told.set()

    allowed = config.tls is not None or config.insecure
    for plane in planes:
        checked_address(plane.address, allowed=allowed)
    on_signals(stop)
    signal.signal(signal.SIGINT, stop)
    healths = [health.HealthServicer() for _ in planes]
    connections = _connections(config.limits.connections, len(planes))
    doors = [door_of(plane, config) for plane in planes]
    servers = [
        _started(config, _server(config, plane, door, connections), plane, servicer)
        for plane, door, servicer in zip(planes, doors, healths, strict=True)
    ]
    addresses = [plane.address for plane in planes]
    log.info("serving", addresses=addresses, tls=config.tls is not None)
    if config.insecure and config.tls is None:
        log.warning("neither encrypted nor authenticated: whoever reaches it may use it")
    while not told.wait(_LOOK_S):
        for door in doors:
            door.end_silent()
    log.info("stopping", grace_s=config.grace_s)
    for servicer in healths:
        servicer.enter_graceful_shutdown()
    if not in_flight.finish(config.grace_s):
        log.warning("a frame was cut off: it took longer than grace_s")
    for stopping in [server.stop(_LAST_CALLS_S) for server in servers]:
        stopping.wait()


def _started(
    config: NodeConfig, server: grpc.Server, plane: Plane, servicer: health.HealthServicer
) -> grpc.Server:
    for add in plane.services.values():
        add(server)
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    names = (*plane.services, health.SERVICE_NAME)
    for name in ("", *names):
        servicer.set(name, health_pb2.HealthCheckResponse.SERVING)
    from grpc_reflection.v1alpha import reflection  # takes a while; the orchestrator has no server

    reflection.enable_server_reflection((*names, reflection.SERVICE_NAME), server)
    try:
        if config.tls is None:
            server.add_insecure_port(plane.address)
        else:
            server.add_secure_port(plane.address, server_credentials(config.tls))
    except RuntimeError:
        port = plane.address.rpartition(":")[2]
        raise MachineError(
            f"cannot listen on {plane.address}: it is taken, or not an address of this machine; "
            f"`ss -ltnp 'sport = :{port}'` names who has it, or choose another port"
        ) from None
    server.start()
    return server


def door_of(plane: Plane, config: NodeConfig) -> Door:
    """That of a port."""
    most = config.limits.streams
    guard = Guard(plane.names if config.tls else None, read_token(config.token_file))
    each = most if plane.lease else most // 2
    patience_s = _LINK_S if plane.over_link else PATIENCE_S
    return Door(guard, Slots(most, each, patience_s), plane.lease)


def _server(config: NodeConfig, plane: Plane, door: Door, connections: int) -> grpc.Server:
    limits: Limits = config.limits
    given = dict(plane.options)
    received = "grpc.max_receive_message_length"
    own = {
        received: min(limits.message_bytes, given[received]),
        "grpc.max_concurrent_streams": limits.streams + CHECKS,
        "grpc.max_allowed_incoming_connections": connections,
        "grpc.server_handshake_timeout_ms": _GREETED_MS,
        "grpc.keepalive_permit_without_calls": 1,
        "grpc.http2.min_recv_ping_interval_without_data_ms": 5_000,
        "grpc.so_reuseport": 0,
    }
    if not plane.address.startswith("unix:"):  # whose kernel tells at once who is gone
        own |= _PATIENT if plane.over_link else _PROMPT
    elif plane.lease is None:  # clients, of whom it sees what hands them on
        own[_IDLE] = _PROMPT[_IDLE]
    return grpc.server(Inline(), interceptors=[door, Requests()], options=[*(given | own).items()])


def _connections(asked: int, planes: int) -> int:
    """How many connections each plane may have, so that descriptors are left for all else.

    Raises MachineError where that is hardly any.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    room = asked * planes + _OWN_DESCRIPTORS
    if soft == resource.RLIM_INFINITY or soft >= room:
        return asked
    most = room if hard == resource.RLIM_INFINITY else min(room, hard)
    if most < (least := LEAST_CONNECTIONS * planes + _OWN_DESCRIPTORS):
        raise MachineError(
            f"cannot serve with {hard} open files (`ulimit -Hn`): a node needs {least} at least; "
            f"raise that by `ulimit -n {room}` as root, or LimitNOFILE= of a service"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return (most - _OWN_DESCRIPTORS) // planes


def check(config: NodeConfig) -> None:
    """Ask the node that runs with this configuration how it is; NodeError unless it serves."""
    host, _, port = config.control.rpartition(":")
    here = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104  asked there, not listened on
    address = config.control if host == "unix" else f"{here.get(host, host)}:{port}"
    token = read_token(config.token_file)
    with open_channel(address, config.tls, token, CHANNEL_OPTIONS) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        try:
            # the stub's methods are set when it is made, which its types do not know
            check_health = cast(Any, stub).Check
            answer = check_health(health_pb2.HealthCheckRequest(), timeout=_CHECK_S)
        except grpc.RpcError as error:
            raise NodeError(why_unreachable(error, address, config.tls)) from None
    if answer.status != health_pb2.HealthCheckResponse.SERVING:
        raise NodeError(f"the node at {address} is not serving")
    sys.stdout.write(f"the node at {address} serves\n")


def end() -> NoReturn:
    """End this process now that all it made is unmade; what still computes is not waited for."""
    sys.stderr.flush()
    os._exit(0)
