"""Proof of a link by measurement: a round trip, and the rate that each direction lets through.

The rate is taken from a train: datagrams sent at twice the asked rate, so that the queue before the
link never runs dry and the receiver sees them spaced as the link spaces them. Rates count Ethernet
frames as sch_netem does, so that they compare directly with what was asked.

    prove (UE)                       ProbeServer (edge)
      ping ─────────────────────────▶ echo, with what proves who has it
      train ════════════════════════▶ arrival times
      report? ──────────────────────▶ frames, first and last arrival
      train, please ────────────────▶
      arrival times ◀════════════════ train

Nothing here knows of namespaces: it serves two machines as well.
"""

import math
import secrets
import socket
import statistics
import struct
import threading
import time
from collections.abc import Callable, Container
from contextlib import suppress
from dataclasses import dataclass, field, replace
from hashlib import blake2s
from typing import Self

from netem.proof import (
    DOWNLINK,
    HEADERS_BYTES,
    PING_FRAME_BYTES,
    ROUND_TRIP,
    SEND_SPEED,
    TRAIN_MOST,
    UPLINK,
    Proof,
    faults,
    nominal_rtt_ms,
    payload_bytes,
    rate_mbit,
    train_of,
)
from netem.spec import FRAME_BYTES, LinkSpec
from splitbed.errors import LinkError, MachineError
from splitbed.security.addresses import ip_port
from splitbed.workers.wanted import LOOK_S, check_wanted, pause

_TRAIN_LONGEST_S = 30.0  # 20 full frames at the slowest rate take half of it
_PEERS = 64
"""Whose trains are known at a time; as many may be under way."""
_PINGS = 10
_TRIES = 20  # of a question, over a link that may lose half of them
_PATIENCE_S = 0.3  # beyond what the link itself takes: a shared host was seen to stall for 0.1 s
_PAUSE_S = 0.1  # before the second attempt
_UNMEASURED = Proof(math.inf, math.inf, math.inf, math.inf, pings=0, lost=0, attempts=0)
_HEADER = struct.Struct("!16scII")  # token, kind, number of the train, index or place
assert _HEADER.size <= PING_FRAME_BYTES - max(HEADERS_BYTES.values())
_REQUEST = struct.Struct("!IQ")  # frames to send, ns between them
_REPORT = struct.Struct("!d")  # Mbit/s
_PING, _TRAIN, _ASK_REPORT, _ASK_TRAIN = b"P", b"T", b"R", b"D"
_TIMESPECS = {one.size: one for one in (struct.Struct("=qq"), struct.Struct("=ii"))}
_SO_TIMESTAMPNS = 35  # the kernel's time of arrival; Python's socket module lacks the name


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
        self._socket = _socket(address, opened)
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
                datagram, arrival_ns, peer = _receive(self._socket)
                if len(datagram) >= _HEADER.size and secrets.compare_digest(
                    datagram[:16], self.token
                ):
                    self._answer(datagram, arrival_ns, peer)

    def _answer(self, datagram: bytes, arrival_ns: int, peer: tuple[str, int]) -> None:
        _, kind, train, told = _HEADER.unpack_from(datagram)
        rest = datagram[_HEADER.size :]
        if kind == _TRAIN:
            known = self._known(peer)
            if train != known.train:
                known.train, known.arrivals_ns = train, []
            if len(known.arrivals_ns) < TRAIN_MOST:
                known.arrivals_ns.append(arrival_ns)
        elif kind == _PING:
            header = _HEADER.pack(self.token, kind, train, self._place(peer))
            self._socket.sendto(header + rest, peer)
        elif kind == _ASK_REPORT and len(rest) == 8:
            known = self._known(peer)
            seen = known.arrivals_ns if train == known.train else []
            report = _REPORT.pack(rate_mbit(seen, skip_ns=int.from_bytes(rest)))
            self._socket.sendto(datagram[: _HEADER.size] + report, peer)
        elif kind == _ASK_TRAIN and len(rest) == _REQUEST.size and told == self._place(peer):
            self._send(peer, train, *_REQUEST.unpack(rest))

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
                _send_train(send, size, self.token, train, frames, gap_ns, ended.wait)

        with suppress(RuntimeError):  # no thread more can be had: it is asked again
            threading.Thread(target=sending, daemon=True).start()

    def _place(self, peer: tuple[str, int]) -> int:
        """A number that nobody knows who does not hear what is sent to this peer."""
        digest = blake2s(repr(peer).encode(), key=self._secret, digest_size=4).digest()
        return int.from_bytes(digest)


def prove(
    server: tuple[str, int],
    token: bytes,
    spec: LinkSpec,
    *,
    attempts: int = 6,
    known: Proof | None = None,
    opened: socket.socket | None = None,
) -> Proof:
    """Measure the link to the ProbeServer at ``server``; what differs, at most ``attempts`` times.

    ``spec`` is what was asked: it sizes the trains and says what differs.  Others on a machine make
    a measurement lie now and then, so what differs is measured again, alone, after a pause that
    doubles: what is wrong with the link itself stays wrong. About 0.45 s at 5 Mbit/s; 3 s more
    before a link is said to differ. Of one that has not been touched since it was ``known``, rates
    are taken from there where they are as asked: the round trip alone is measured. ``opened`` is as
    for the server. Raises LinkError when nothing comes back, NodeError once nobody waits for it.
    """
    proof = known.aged if known else _UNMEASURED
    if {UPLINK, DOWNLINK} & faults(proof, spec).keys():
        proof = _UNMEASURED
    with _socket(server[0], opened) as sock:
        try:
            sock.connect(server)
            client = _Client(sock, server[0], token, spec)
            while (wrong := faults(proof, spec)) and proof.attempts < attempts:
                if proof.attempts:
                    pause(_PAUSE_S * 2 ** (proof.attempts - 1))
                proof = client.measure(wrong, proof)
        except OSError as error:
            raise LinkError(f"cannot probe {ip_port(*server)}: {error}") from None
    return proof


@dataclass
class _Client:
    sock: socket.socket
    host: str
    token: bytes
    spec: LinkSpec
    _place: int = 0
    """What the server answered to pings: with it, it knows where a train is to go."""

    def _send(self, frame: bytes) -> int:
        check_wanted()
        return self.sock.send(frame)

    def measure(self, wrong: Container[str], proof: Proof) -> Proof:
        """``proof`` with what is ``wrong`` in it measured anew."""
        if ROUND_TRIP in wrong:
            rtts_ms, pings = self._ping()
            proof = replace(
                proof,
                rtt_min_ms=min(rtts_ms),
                rtt_median_ms=statistics.median(rtts_ms),
                pings=pings,
                lost=pings - len(rtts_ms),
            )
        if UPLINK in wrong:
            proof = replace(proof, uplink_mbit=self._uplink_mbit())
        if DOWNLINK in wrong:
            proof = replace(proof, downlink_mbit=self._downlink_mbit())
        return replace(proof, attempts=proof.attempts + 1)

    def _ping(self) -> tuple[list[float], int]:
        """Round trips, and how many pings it took to have ten (or none of many)."""
        rtts_ms: list[float] = []
        for sent in range(1, 5 * _PINGS + 1):
            start_ns = time.time_ns()
            ping = self._message(_PING, train := secrets.randbits(32))
            self._send(ping.ljust(payload_bytes(PING_FRAME_BYTES, self.host), b"\0"))
            with suppress(TimeoutError):
                echo, arrival_ns = self._await(_PING, train, self._slack_s())
                self._place = _HEADER.unpack_from(echo)[3]
                rtts_ms.append((arrival_ns - start_ns) / 1e6)
            if len(rtts_ms) == _PINGS or (sent >= 2 * _PINGS and not rtts_ms):
                break
        if not rtts_ms:
            peer = ip_port(*self.sock.getpeername()[:2])
            raise LinkError(f"no answer from {peer} to {sent} pings: the link carries nothing")
        return rtts_ms, sent

    def _uplink_mbit(self) -> float:
        shape = self.spec.uplink
        frames, gap_ns, skip_ns = train_of(shape)
        train = secrets.randbits(32)
        size = payload_bytes(FRAME_BYTES, self.host)
        _send_train(self._send, size, self.token, train, frames, gap_ns)
        # Asked once the queue has drained, or a short queue would drop the question.
        queued = min(frames * (1 - 1 / SEND_SPEED), shape.queue_packets)
        pause(queued * shape.serialisation_ms(FRAME_BYTES) / 1e3)
        for _ in range(_TRIES):
            self._send(self._message(_ASK_REPORT, train) + skip_ns.to_bytes(8))
            with suppress(TimeoutError):
                answer, _ = self._await(_ASK_REPORT, train, self._slack_s())
                if len(answer) == _HEADER.size + _REPORT.size:
                    return float(_REPORT.unpack_from(answer, _HEADER.size)[0])
        raise LinkError(f"no report on the uplink train, asked {_TRIES} times")

    def _downlink_mbit(self) -> float:
        frames, gap_ns, skip_ns = train_of(self.spec.downlink)
        for _ in range(_TRIES):
            train = secrets.randbits(32)
            request = _REQUEST.pack(frames, gap_ns)
            self._send(self._message(_ASK_TRAIN, train, self._place) + request)
            arrivals_ns: list[int] = []
            with suppress(TimeoutError):
                index = -1
                while index < frames - 1:
                    frame, arrival_ns = self._await(_TRAIN, train, self._slack_s())
                    arrivals_ns.append(arrival_ns)
                    index = _HEADER.unpack_from(frame)[3]
            if arrivals_ns:
                return rate_mbit(arrivals_ns, skip_ns)
        raise LinkError(f"no downlink train, asked {_TRIES} times")

    def _await(self, kind: bytes, train: int, timeout_s: float) -> tuple[bytes, int]:
        """The next datagram of ``kind`` and ``train``, and when it arrived. Raises TimeoutError."""
        deadline = time.monotonic() + timeout_s
        while True:
            check_wanted()
            left_s = max(1e-3, deadline - time.monotonic())
            self.sock.settimeout(min(left_s, LOOK_S))
            with suppress(TimeoutError):
                datagram, arrival_ns, _ = _receive(self.sock)
                known = self._message(kind, train)[:21]
                if len(datagram) >= _HEADER.size and datagram.startswith(known):
                    return datagram, arrival_ns
                continue
            if left_s <= LOOK_S:
                raise TimeoutError

    def _message(self, kind: bytes, train: int, index: int = 0) -> bytes:
        return _HEADER.pack(self.token, kind, train, index)

    def _slack_s(self) -> float:
        """How long an answer can be under way."""
        jitter_ms = self.spec.uplink.jitter_ms + self.spec.downlink.jitter_ms
        frame_ms = self.spec.downlink.serialisation_ms(FRAME_BYTES)
        return (nominal_rtt_ms(self.spec) + jitter_ms + frame_ms) / 1e3 + _PATIENCE_S


def _send_train(
    send: Callable[[bytes], int],
    size: int,
    token: bytes,
    train: int,
    frames: int,
    gap_ns: int,
    wait: Callable[[float], object] = time.sleep,
) -> None:
    padding = bytes(size - _HEADER.size)
    start_ns = time.monotonic_ns()
    for index in range(frames):
        ahead_s = (start_ns + index * gap_ns - time.monotonic_ns()) / 1e9
        if ahead_s > 2e-4:  # sleep is no finer than this
            wait(ahead_s)
        send(_HEADER.pack(token, _TRAIN, train, index) + padding)


def _socket(host: str, opened: socket.socket | None) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = opened or socket.socket(family, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
    # Room for a train while this process waits for a CPU; the kernel caps it for ordinary users.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    return sock


def _receive(sock: socket.socket) -> tuple[bytes, int, tuple[str, int]]:
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
