"""Serving gRPC from a node: where it may listen, and how it ends."""

import ipaddress
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import FrameType

import grpc

from splitbed.errors import MachineError, UsageError
from splitbed.wire import CHANNEL_OPTIONS

# a sync server keeps one thread for every open stream; a node has one or two
_THREADS = 8
_GRACE_S = 1.0


def checked_address(address: str, *, insecure: bool) -> str:
    """`address` if a node may listen there: a Unix socket, loopback, or anything with `insecure`.

    Raises UsageError for what is no ``HOST:PORT`` or ``unix:PATH``, and for an address that other
    machines reach, unless `insecure` says that this is meant.
    """
    if address.startswith("unix:"):
        return address
    host, _, port = address.rpartition(":")
    try:
        ip = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host.strip("[]"))
        if not 0 < int(port) <= 65535:
            raise ValueError
    except ValueError:
        raise UsageError(
            f"cannot listen on {address!r}: give IP:PORT with a port of 1 to 65535, or unix:PATH"
        ) from None
    if not (ip.is_loopback or insecure):
        raise UsageError(
            f"refused to listen on {address}: others reach it and nothing is encrypted yet; "
            "listen on 127.0.0.1, or say --insecure on a network that is yours alone"
        )
    return address


def start(
    address: str,
    *add: Callable[[grpc.Server], None],
    options: Sequence[tuple[str, int]] = CHANNEL_OPTIONS,
) -> grpc.Server:
    """A started server of the services that `add` adds; MachineError when the port is taken."""
    server = grpc.server(
        ThreadPoolExecutor(max_workers=_THREADS),
        options=[*options, ("grpc.so_reuseport", 0)],
    )
    for add_service in add:
        add_service(server)
    try:
        server.add_insecure_port(address)
    except RuntimeError:
        port = address.rpartition(":")[2]
        raise MachineError(
            f"cannot listen on {address}: it is taken, or not an address of this machine; "
            f"`ss -ltnp 'sport = :{port}'` names who has it, or choose another port"
        ) from None
    server.start()
    return server


def until_told_to_stop(*servers: grpc.Server) -> None:
    """Serve until SIGTERM or SIGINT, then let what is in flight finish."""
    told = threading.Event()

    def stop(_signal: int, _frame: FrameType | None) -> None:
        told.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    told.wait()
    for stopping in [server.stop(_GRACE_S) for server in servers]:
        stopping.wait()
