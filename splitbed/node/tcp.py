"""What the kernel says of a TCP connection that this process holds, whoever opened it."""

import os
import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_TCP_INFO_BYTES = 104
# offsets in struct tcp_info of linux/tcp.h, all 32-bit words after eight single bytes
_SND_MSS, _RTT_US, _SND_CWND, _TOTAL_RETRANS = 16, 68, 80, 100


@dataclass(frozen=True)
class TcpState:
    """Congestion control and what the connection has been through since it was opened."""

    congestion_control: str
    retransmits: int
    cwnd_segments: int
    rtt_ms: float
    mss_bytes: int
    ip_version: int


def facts_to(peer: tuple[str, int]) -> TcpState | None:
    """Facts of this process's connection to `peer`; None when there is none."""
    for connection in _connections():
        with suppress(OSError):  # not connected, or closed since it was listed
            if _address(connection.getpeername()) == peer:
                return _facts(connection)
    return None


def pin_cubic(port: int) -> None:
    """Have cubic control this process's connections from or to `port`, where the kernel lets us.

    A row says what did; on a machine of its own the default may be another.
    """
    for connection in _connections():
        with suppress(OSError):
            ends = (connection.getsockname(), connection.getpeername())
            if port in (_address(end)[1] for end in ends):
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, b"cubic")


def _connections() -> Iterator[socket.socket]:
    """This process's TCP sockets, one after another, each open until the next is asked for."""
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # closed since it was listed
            if not str(entry.readlink()).startswith("socket:"):
                continue
        with suppress(OSError), socket.socket(fileno=os.dup(int(entry.name))) as connection:
            inet = connection.family in (socket.AF_INET, socket.AF_INET6)
            if inet and connection.type == socket.SOCK_STREAM:
                yield connection


def _address(name: tuple[str, int]) -> tuple[str, int]:
    host, port, *_ = name
    return host.removeprefix("::ffff:"), port  # gRPC reaches IPv4 through IPv6 sockets


def _facts(connection: socket.socket) -> TcpState:
    info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
    name = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16)

    def word(offset: int) -> int:
        return int(struct.unpack_from("=I", info, offset)[0])

    return TcpState(
        congestion_control=name.split(b"\0")[0].decode(),
        retransmits=word(_TOTAL_RETRANS),
        cwnd_segments=word(_SND_CWND),
        rtt_ms=word(_RTT_US) / 1000,
        mss_bytes=word(_SND_MSS),
        ip_version=6 if ":" in _address(connection.getpeername())[0] else 4,
    )
