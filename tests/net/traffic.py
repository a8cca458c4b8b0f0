"""Traffic over a link, made with plain sockets inside its namespaces."""

import select
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from netem.link import Link
from netem.namespace import Namespace
from netem.spec import LinkSpec

SEGMENT_SHARE = 1448 / 1514
"""Payload of a full TCP segment with timestamps, over its Ethernet frame."""


def goodput_mbit(link: Link, seconds: float, *, downlink: bool = False) -> float:
    """TCP payload per second over ``link``, once the connection has warmed up for a third."""
    sender_end, receiver_end, address = (
        (link.edge, link.ue, link.ue_address)
        if downlink
        else (link.ue, link.edge, link.edge_address)
    )
    sender, receiver = connected(sender_end, receiver_end, address)
    stop = time.monotonic() + seconds
    with sender, receiver:
        thread = threading.Thread(target=_send_until, args=(sender, stop))
        thread.start()
        received, start_bytes, start_s = 0, 0, 0.0
        end_s = time.monotonic()
        while end_s < stop:
            received += len(receiver.recv(1 << 18))
            end_s = time.monotonic()
            if not start_s and end_s > stop - seconds * 2 / 3:
                start_bytes, start_s = received, end_s
        receiver.close()
        thread.join()
    return (received - start_bytes) * 8 / 1e6 / (end_s - start_s)


def connected(
    near: Namespace, far: Namespace, address: str, port: int = 0
) -> tuple[socket.socket, socket.socket]:
    """A TCP connection from ``near`` to ``address`` of ``far``: its two ends."""
    with far.open_socket() as listener:
        listener.bind((address, port))
        listener.listen()
        end = near.open_socket()
        end.settimeout(5)
        end.connect(listener.getsockname())
        return end, listener.accept()[0]


def carry(link: Link, nbytes: int) -> None:
    """Send so much over a TCP connection up `link`, and take it all."""
    sender, receiver = connected(link.ue, link.edge, link.edge_address)
    with sender, receiver, ThreadPoolExecutor(1) as beside:
        sending = beside.submit(sender.sendall, bytes(nbytes))
        while nbytes:
            nbytes -= len(receiver.recv(1 << 16))
        sending.result()


@contextmanager
def cut(link: Link) -> Iterator[None]:
    """Nothing crosses it inside; it was shaped before, and is again as it was.

    Its interfaces stay up: a link box would not survive their going down.
    """
    before = link.read_back()
    up, down = (way.replaced(loss_pct=100.0) for way in (before.uplink, before.downlink))
    link.shape(LinkSpec(uplink=up, downlink=down))
    try:
        yield
    finally:
        link.shape(before)


def delivered(link: Link, datagrams: int) -> int:
    """How many of ``datagrams`` small ones, one each 0.1 ms, cross the uplink."""
    receiver, sender = (end.open_socket(socket.SOCK_DGRAM) for end in (link.edge, link.ue))
    with receiver, sender:
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        receiver.bind((link.edge_address, 0))
        sender.connect(receiver.getsockname())
        seen, start = 0, time.monotonic()
        for index in range(datagrams):
            sender.send(b"x" * 50)
            while (arrived := _arrived(receiver, 0)) or time.monotonic() < start + index * 1e-4:
                seen += arrived
        while _arrived(receiver, 0.5):
            seen += 1
        return seen


def _arrived(receiver: socket.socket, timeout_s: float) -> int:
    ready = select.select([receiver], [], [], timeout_s)[0]
    return len(receiver.recv(100)) // 50 if ready else 0


def _send_until(sender: socket.socket, stop: float) -> None:
    sender.settimeout(0.2)
    while time.monotonic() < stop:
        try:
            sender.send(bytes(1 << 16))
        except TimeoutError:
            continue
        except ConnectionError:
            return
