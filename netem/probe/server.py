"""The end of a link that answers what the other end measures it with."""

import secrets
import socket
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import blake2s
from typing import Self

from netem.probe.datagrams import (
    ASK_REPORT,
    ASK_TRAIN,
    HEADER,
    PING,
    REPORT,
    REQUEST,
    TRAIN,
    receive,
    send_train,
    udp_socket,
)
from netem.probe.proof import TRAIN_MOST, payload_bytes, rate_mbit
from netem.spec import FRAME_BYTES
from splitbed.errors import MachineError
from splitbed.security.addresses import ip_port

_TRAIN_LONGEST_S = 30.0  # 20 full frames at the slowest rate take half of it
_PEERS = 64
"""Whose trains are known at a time; as many may be under way."""


@dataclass
class _Peer:
    """What came of a peer's last train; and the end of that which is sent to it."""

    train: int = -1
    arrivals_ns: list[int] = field(default_factory=list)
    sent: threading.Event = field(default_factory=threading.Event)


class ProbeServer:
    """Answers pings and trains on UDP ``address:port`` while entered; port 0 picks one.

    Only datagrams that carry ``token`` are answered: pass it on another way than this link. So
    nobody else can make it send, and whoever hears it can have a train sent to no other: that goes
    to who tells what the answer to a ping told him. One train at a time goes to a peer, the last
    that it asked for; no other waits for it. ``opened`` is a UDP socket to use, of another
    namespace perhaps; it is closed at the end. Raises MachineError when it cannot bind.
    """

    def __init__(
        self,
        address: str,
        port: int = 0,
        token: bytes | None = None,
        opened: socket.socket | None = None,
    ) -> None:
        self.token = token or secrets.token_bytes(16)
        self._socket = udp_socket(address, opened)
        try:
            self._socket.bind((address, port))
        except OSError as error:
            self._socket.close()
            raise MachineError(
                f"cannot listen on UDP {ip_port(address, port)}: {error.strerror}; "
                "repair: choose an address of this machine and a free port"
            ) from None
        self._socket.settimeout(0.1)
        self.address: tuple[str, int] = self._socket.getsockname()[:2]
        self._secret = secrets.token_bytes(16)
        self._peers: dict[tuple[str, int], _Peer] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        for peer in self._peers.values():
            peer.sent.set()
        self._socket.close()

    def _serve(self) -> None:
        while not self._stop.is_set():
            with suppress(OSError):  # a time-out, or a peer that is gone
                datagram, arrival_ns, peer = receive(self._socket)
                if len(datagram) >= HEADER.size and secrets.compare_digest(
                    datagram[:16], self.token
                ):
                    self._answer(datagram, arrival_ns, peer)

    def _answer(self, datagram: bytes, arrival_ns: int, peer: tuple[str, int]) -> None:
        _, kind, train, told = HEADER.unpack_from(datagram)
        rest = datagram[HEADER.size :]
        if kind == TRAIN:
            known = self._known(peer)
            if train != known.train:
                known.train, known.arrivals_ns = train, []
            if len(known.arrivals_ns) < TRAIN_MOST:
                known.arrivals_ns.append(arrival_ns)
        elif kind == PING:
            header = HEADER.pack(self.token, kind, train, self._place(peer))
            self._socket.sendto(header + rest, peer)
        elif kind == ASK_REPORT and len(rest) == 8:
            known = self._known(peer)
            seen = known.arrivals_ns if train == known.train else []
            report = REPORT.pack(rate_mbit(seen, skip_ns=int.from_bytes(rest)))
            self._socket.sendto(datagram[: HEADER.size] + report, peer)
        elif kind == ASK_TRAIN and len(rest) == REQUEST.size and told == self._place(peer):
            self._send(peer, train, *REQUEST.unpack(rest))

    def _known(self, peer: tuple[str, int]) -> _Peer:
        """What is known of a peer; those that said nothing for longest are forgotten."""
        known = self._peers.pop(peer, None) or _Peer()
        self._peers[peer] = known
        while len(self._peers) > _PEERS:
            self._peers.pop(next(iter(self._peers))).sent.set()
        return known

    def _send(self, peer: tuple[str, int], train: int, frames: int, gap_ns: int) -> None:
        """Begin a train, in a thread of its own."""
        known, ended = self._known(peer), threading.Event()
        known.sent.set()  # the one before
        known.sent = ended
        frames = min(frames, TRAIN_MOST)
        gap_ns = min(gap_ns, round(_TRAIN_LONGEST_S * 1e9 / max(1, frames)))
        size = payload_bytes(FRAME_BYTES, peer[0])

        def send(frame: bytes) -> int:
            while not ended.is_set():
                with suppress(TimeoutError):  # a full queue before the link
                    return self._socket.sendto(frame, peer)
            raise InterruptedError

        def sending() -> None:
            with suppress(OSError):  # it is to end, or the peer is gone
                send_train(send, size, self.token, train, frames, gap_ns, ended.wait)

        with suppress(RuntimeError):  # no thread more can be had: it is asked again
            threading.Thread(target=sending, daemon=True).start()

    def _place(self, peer: tuple[str, int]) -> int:
        """A number that nobody knows who does not hear what is sent to this peer."""
        digest = blake2s(repr(peer).encode(), key=self._secret, digest_size=4).digest()
        return int.from_bytes(digest)
