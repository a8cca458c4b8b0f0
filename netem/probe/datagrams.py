"""What crosses a link while it is proved: pings, trains, and what is asked of these."""

import socket
import struct
import time
from collections.abc import Callable

from netem.probe.proof import HEADERS_BYTES, PING_FRAME_BYTES

HEADER = struct.Struct("!16scII")
"""Token, kind, number of the train, index or place."""
assert HEADER.size <= PING_FRAME_BYTES - max(HEADERS_BYTES.values())
REQUEST = struct.Struct("!IQ")
"""Frames to send, ns between them."""
REPORT = struct.Struct("!d")
"""Mbit/s."""
PING, TRAIN, ASK_REPORT, ASK_TRAIN = b"P", b"T", b"R", b"D"
"""Kinds."""
_TIMESPECS = {one.size: one for one in (struct.Struct("=qq"), struct.Struct("=ii"))}
_SO_TIMESTAMPNS = 35  # the kernel's time of arrival; Python's socket module lacks the name


def send_train(
    send: Callable[[bytes], int],
    size: int,
    token: bytes,
    train: int,
    frames: int,
    gap_ns: int,
    wait: Callable[[float], object] = time.sleep,
) -> None:
    """Send so many datagrams of `size` bytes, one each `gap_ns`."""
    padding = bytes(size - HEADER.size)
    start_ns = time.monotonic_ns()
    for index in range(frames):
        ahead_s = (start_ns + index * gap_ns - time.monotonic_ns()) / 1e9
        if ahead_s > 2e-4:  # sleep is no finer than this
            wait(ahead_s)
        send(HEADER.pack(token, TRAIN, train, index) + padding)


def udp_socket(host: str, opened: socket.socket | None) -> socket.socket:
    """The one that is `opened`, or a new one, which tells when datagrams arrived."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = opened or socket.socket(family, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
    # Room for a train while this process waits for a CPU; the kernel caps it for ordinary users.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    return sock


def receive(sock: socket.socket) -> tuple[bytes, int, tuple[str, int]]:
    """A datagram, when the kernel had it (ns since the epoch), and who sent it."""
    datagram, ancillary, _, peer = sock.recvmsg(2048, socket.CMSG_SPACE(16))
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, _SO_TIMESTAMPNS):
            return datagram, since_epoch_ns(data), peer
    return datagram, time.time_ns(), peer


def since_epoch_ns(timespec: bytes) -> int:
    """The nanoseconds of a kernel's timespec: two numbers of 8 bytes; of 4 in 32-bit programs."""
    words = _TIMESPECS[len(timespec)]
    seconds, nanoseconds = words.unpack(timespec)
    return int(seconds) * 10**9 + int(nanoseconds)
