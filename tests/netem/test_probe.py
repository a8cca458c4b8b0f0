"""The probe over loopback; what it says of shaped links is in tests/net."""

import math
import socket
import struct
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from netem.probe.client import prove
from netem.probe.datagrams import since_epoch_ns
from netem.probe.proof import PING_FRAME_BYTES, Proof, judge
from netem.probe.server import ProbeServer
from netem.spec import FRAME_BYTES, symmetric
from splitbed.errors import LinkError, MachineError, NodeError
from splitbed.workers.wanted import WANTED


@pytest.fixture(params=["127.0.0.1", "::1"])
def server(request: pytest.FixtureRequest) -> Iterator[ProbeServer]:
    with ProbeServer(request.param) as entered:
        yield entered


def answers(server: ProbeServer, datagram: bytes) -> list[bytes]:
    """What comes back before the answer to a ping that is sent right after it."""
    with asking(server) as sock:
        return answers_to(sock, server, datagram)


@contextmanager
def asking(server: ProbeServer) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in server.address[0] else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.connect(server.address)
        sock.settimeout(0.3)
        yield sock


def answers_to(sock: socket.socket, server: ProbeServer, datagram: bytes) -> list[bytes]:
    ping = server.token + b"P" + b"last"
    sock.send(datagram)
    seen: list[bytes] = []
    while not seen or not seen[-1].startswith(ping):
        sock.send(ping + bytes(4))
        with suppress(TimeoutError):  # a queue that a train has filled drops a ping
            while not seen or not seen[-1].startswith(ping):
                seen.append(sock.recv(2048))
    return seen[:-1]


def all_of(sock: socket.socket) -> Iterator[bytes]:
    """What comes, until nothing does."""
    with suppress(TimeoutError):
        while True:
            yield sock.recv(2048)


def test_loopback_carries_what_is_sent_at_the_rate_that_it_is_sent_at(
    server: ProbeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # loopback has no rate: the train comes as it was sent
    monkeypatch.setattr("netem.probe.proof.SEND_SPEED", 1)
    spec = symmetric(rate_mbit=5)
    proof = prove(server.address, server.token, spec)
    assert judge(proof, spec) is None
    assert proof.lost == 0


class Counting(ProbeServer):
    """Counts what it is asked, by kind."""

    def __init__(self, address: str = "127.0.0.1") -> None:
        super().__init__(address)
        self.seen: Counter[bytes] = Counter()
        self.sizes: set[int] = set()

    def _answer(self, datagram: bytes, arrival_ns: int, peer: tuple[str, int]) -> None:
        self.seen[datagram[16:17]] += 1
        if datagram[16:17] in b"PT":
            self.sizes.add(len(datagram))
        super()._answer(datagram, arrival_ns, peer)


def test_what_differs_of_a_link_is_measured_again_and_nothing_else() -> None:
    # both trains come at twice the rate asked; a round trip may be as short as that of loopback
    spec = symmetric(rate_mbit=20, delay_ms=10, jitter_ms=10)
    with Counting() as server:
        proof = prove(server.address, server.token, spec, attempts=3)
    assert proof.attempts == 3
    assert server.seen[b"P"] == proof.pings
    assert (server.seen[b"R"], server.seen[b"D"]) == (3, 3)


def test_of_a_link_that_is_known_the_round_trip_alone_is_measured() -> None:
    spec = symmetric(rate_mbit=20, delay_ms=10, jitter_ms=10)
    known = Proof(20.1, 19.9, 12.0, 13.0, pings=10, lost=0, attempts=2)
    with Counting() as server:
        proof = prove(server.address, server.token, spec, known=known)
    assert judge(proof, spec) is None
    assert (proof.uplink_mbit, proof.downlink_mbit, proof.attempts) == (20.1, 19.9, 1)
    assert server.seen.keys() == {b"P"}
    assert proof.rates_known
    assert proof.rtt_min_ms < 12


@pytest.mark.parametrize("uplink_mbit", [12.0, math.nan])
def test_rates_that_are_known_and_differ_are_measured_again(uplink_mbit: float) -> None:
    known = Proof(uplink_mbit, 20.0, 0.1, 0.1, pings=10, lost=0, attempts=1)
    spec = symmetric(rate_mbit=20, delay_ms=10, jitter_ms=10)
    with Counting() as server:
        proof = prove(server.address, server.token, spec, attempts=1, known=known)
    assert (server.seen[b"R"], server.seen[b"D"]) == (1, 1)
    assert not proof.rates_known


@pytest.mark.parametrize(("address", "headers_bytes"), [("127.0.0.1", 42), ("::1", 62)])
def test_frames_and_pings_are_as_long_over_either_version(address: str, headers_bytes: int) -> None:
    with Counting(address) as server:
        prove(server.address, server.token, symmetric(rate_mbit=5), attempts=1)
    assert server.sizes == {FRAME_BYTES - headers_bytes, PING_FRAME_BYTES - headers_bytes}


def test_a_proof_keeps_a_link_busy_for_less_than_half_a_second() -> None:
    spec = symmetric(rate_mbit=5)
    with Counting() as server:
        prove(server.address, server.token, spec, attempts=1)
    # as many frames each way
    assert 2 * server.seen[b"T"] * spec.uplink.serialisation_ms(FRAME_BYTES) < 500


def test_nobody_there_is_an_error() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as unused:
        unused.bind(("127.0.0.1", 0))
        address = unused.getsockname()
    with pytest.raises(LinkError, match=r"cannot probe 127\.0\.0\.1"):
        prove(address, bytes(16), symmetric(rate_mbit=5))


def test_nothing_is_sent_once_nobody_waits_for_the_proof() -> None:
    wanted = WANTED.set(lambda: False)
    try:
        with Counting() as counting, pytest.raises(NodeError, match="nobody waits"):
            prove(counting.address, counting.token, symmetric(rate_mbit=5))
        assert not counting.seen
    finally:
        WANTED.reset(wanted)


@pytest.mark.parametrize(
    ("asked", "length", "says"), [(b"R", 29, "no report"), (b"D", 22, "no downlink train")]
)
def test_an_answer_that_is_none_is_passed_over(
    asked: bytes, length: int, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("netem.probe.client._PATIENCE_S", 0.05)

    class Wrong(ProbeServer):
        def _answer(self, datagram: bytes, arrival_ns: int, peer: tuple[str, int]) -> None:
            if (kind := datagram[16:17]) == asked:
                answer = datagram[:16] + {b"D": b"T"}.get(kind, kind) + datagram[17:]
                self._socket.sendto(answer.ljust(length, b"x")[:length], peer)
            else:
                super()._answer(datagram, arrival_ns, peer)

    with Wrong("127.0.0.1") as server, pytest.raises(LinkError, match=says):
        prove(server.address, server.token, symmetric(rate_mbit=20))


def test_a_wrong_token_gets_no_answer(server: ProbeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("netem.probe.client._PATIENCE_S", 0.01)
    with pytest.raises(LinkError, match="no answer"):
        prove(server.address, bytes(16), symmetric(rate_mbit=5))


@pytest.mark.parametrize("kind", [b"P", b"T", b"R", b"D"])
def test_a_stranger_cannot_make_the_server_send(server: ProbeServer, kind: bytes) -> None:
    asking = kind + bytes(8) + (900).to_bytes(4) + bytes(8)
    assert answers(server, bytes(16) + asking) == []


@pytest.mark.parametrize(
    "rest", [b"", b"P", b"D" + bytes(8), b"R" + bytes(9), b"X" + bytes(99)], ids=repr
)
def test_a_datagram_of_a_wrong_size_is_passed_over(server: ProbeServer, rest: bytes) -> None:
    assert answers(server, server.token + rest) == []
    ping = server.token + b"P" + bytes(4)
    (echo,) = answers(server, ping + bytes(4))
    assert echo.startswith(ping)


def test_a_train_is_never_longer_than_900_frames_and_goes_to_who_heard_an_answer(
    server: ProbeServer,
) -> None:
    asks, long = server.token + b"D" + bytes(4), (10**9).to_bytes(4) + bytes(8)
    with asking(server) as sock:
        (echo,) = answers_to(sock, server, server.token + b"P" + bytes(8))
        sock.send(asks + echo[21:25] + long)
        assert 0 < len([*all_of(sock)]) <= 900
        assert answers_to(sock, server, asks + bytes(4) + long) == []
    assert answers(server, asks + echo[21:25] + long) == []  # from another port


def test_of_a_train_no_more_is_kept_than_one_has(server: ProbeServer) -> None:
    with asking(server) as sock:
        for _ in range(20):
            for _ in range(100):
                sock.send(server.token + b"T" + bytes(8))
            answers_to(sock, server, b"")
    assert [len(peer.arrivals_ns) for peer in server._peers.values()] == [900]


def test_a_long_train_holds_up_nobody_and_gives_way_to_the_next(server: ProbeServer) -> None:
    asks, slow = server.token + b"D", (2).to_bytes(4) + (20 * 10**9).to_bytes(8)
    with asking(server) as sock, asking(server) as other:
        (echo,) = answers_to(sock, server, server.token + b"P" + bytes(8))
        sock.send(asks + bytes(4) + echo[21:25] + slow)
        assert sock.recv(2048).startswith(server.token + b"T")  # 15 s before its second frame
        assert len(answers_to(other, server, server.token + b"P" + bytes(8))) == 1
        quick = asks + (1).to_bytes(4) + echo[21:25] + (3).to_bytes(4) + bytes(8)
        sock.send(quick)
        assert [sock.recv(2048)[17:25] for _ in range(3)] == [
            (1).to_bytes(4) + place.to_bytes(4) for place in range(3)
        ]


class Slow:
    """A socket whose queue is full at first, whenever a train is to be sent."""

    def __init__(self, sock: socket.socket, times: int) -> None:
        self._sock, self._times = sock, times

    def sendto(self, data: bytes, peer: tuple[str, int]) -> int:
        if data[16:17] == b"T" and self._times:
            self._times -= 1
            raise TimeoutError
        return self._sock.sendto(data, peer)

    def __getattr__(self, name: str) -> object:
        return getattr(self._sock, name)


def test_a_train_waits_where_the_queue_before_the_link_is_full(server: ProbeServer) -> None:
    server._socket = Slow(server._socket, 3)  # type: ignore[assignment]
    with asking(server) as sock:
        (echo,) = answers_to(sock, server, server.token + b"P" + bytes(8))
        sock.send(server.token + b"D" + bytes(4) + echo[21:25] + (5).to_bytes(4) + bytes(8))
        assert len([*all_of(sock)]) == 5


def test_no_more_peers_are_known_than_there_may_be(server: ProbeServer) -> None:
    for _ in range(80):
        with asking(server) as sock:
            sock.send(server.token + b"T" + bytes(8))
            answers_to(sock, server, b"")
    assert len(server._peers) == 64


def test_a_port_that_is_taken_is_told(server: ProbeServer) -> None:
    with pytest.raises(MachineError, match="cannot listen"):
        ProbeServer(*server.address)


def test_a_server_that_is_left_has_freed_its_port() -> None:
    with ProbeServer("127.0.0.1") as server:
        address = server.address
    with ProbeServer(*address):
        pass


@pytest.mark.parametrize("words", ["=qq", "=ii"], ids=["64 bits", "32 bits"])
def test_a_time_of_arrival_is_read_whatever_the_width_of_its_words(words: str) -> None:
    assert (
        since_epoch_ns(struct.pack(words, 1_700_000_000, 999_999_999)) == 1_700_000_000_999_999_999
    )
