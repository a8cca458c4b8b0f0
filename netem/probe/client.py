"""The end of a link that measures it, and measures again what differs from what was asked."""

import math
import secrets
import socket
import statistics
import time
from collections.abc import Container
from contextlib import suppress
from dataclasses import dataclass, replace

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
from netem.probe.proof import (
    DOWNLINK,
    PING_FRAME_BYTES,
    ROUND_TRIP,
    SEND_SPEED,
    UPLINK,
    Proof,
    faults,
    nominal_rtt_ms,
    payload_bytes,
    rate_mbit,
    train_of,
)
from netem.spec import FRAME_BYTES, LinkSpec
from splitbed.errors import LinkError
from splitbed.security.addresses import ip_port
from splitbed.workers.wanted import LOOK_S, check_wanted, pause

_PINGS = 10
_TRIES = 20  # of a question, over a link that may lose half of them
_PATIENCE_S = 0.3  # beyond what the link itself takes: a shared host was seen to stall for 0.1 s
_PAUSE_S = 0.1  # before the second attempt
_UNMEASURED = Proof(math.inf, math.inf, math.inf, math.inf, pings=0, lost=0, attempts=0)


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
    with udp_socket(server[0], opened) as sock:
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
            ping = self._message(PING, train := secrets.randbits(32))
            self._send(ping.ljust(payload_bytes(PING_FRAME_BYTES, self.host), b"\0"))
            with suppress(TimeoutError):
                echo, arrival_ns = self._await(PING, train, self._slack_s())
                self._place = HEADER.unpack_from(echo)[3]
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
        send_train(self._send, size, self.token, train, frames, gap_ns)
        # Asked once the queue has drained, or a short queue would drop the question.
        queued = min(frames * (1 - 1 / SEND_SPEED), shape.queue_packets)
        pause(queued * shape.serialisation_ms(FRAME_BYTES) / 1e3)
        for _ in range(_TRIES):
            self._send(self._message(ASK_REPORT, train) + skip_ns.to_bytes(8))
            with suppress(TimeoutError):
                answer, _ = self._await(ASK_REPORT, train, self._slack_s())
                if len(answer) == HEADER.size + REPORT.size:
                    return float(REPORT.unpack_from(answer, HEADER.size)[0])
        raise LinkError(f"no report on the uplink train, asked {_TRIES} times")

    def _downlink_mbit(self) -> float:
        frames, gap_ns, skip_ns = train_of(self.spec.downlink)
        for _ in range(_TRIES):
            train = secrets.randbits(32)
            request = REQUEST.pack(frames, gap_ns)
            self._send(self._message(ASK_TRAIN, train, self._place) + request)
            arrivals_ns: list[int] = []
            with suppress(TimeoutError):
                index = -1
                while index < frames - 1:
                    frame, arrival_ns = self._await(TRAIN, train, self._slack_s())
                    arrivals_ns.append(arrival_ns)
                    index = HEADER.unpack_from(frame)[3]
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
                datagram, arrival_ns, _ = receive(self.sock)
                known = self._message(kind, train)[:21]
                if len(datagram) >= HEADER.size and datagram.startswith(known):
                    return datagram, arrival_ns
                continue
            if left_s <= LOOK_S:
                raise TimeoutError

    def _message(self, kind: bytes, train: int, index: int = 0) -> bytes:
        return HEADER.pack(self.token, kind, train, index)

    def _slack_s(self) -> float:
        """How long an answer can be under way."""
        jitter_ms = self.spec.uplink.jitter_ms + self.spec.downlink.jitter_ms
        frame_ms = self.spec.downlink.serialisation_ms(FRAME_BYTES)
        return (nominal_rtt_ms(self.spec) + jitter_ms + frame_ms) / 1e3 + _PATIENCE_S
