"""Who may call whom, over real sockets: what is refused, and in which words."""

import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from splitbed.errors import UsageError
from splitbed.node.calls.door import Door, Inline
from splitbed.node.calls.slots import Slots
from splitbed.node.config import Tls
from splitbed.security.access import (
    Guard,
    channel_credentials,
    open_channel,
    read_token,
    server_credentials,
    why_unreachable,
)
from splitbed.security.authority import Authority, issue_authority
from tests.security.certified import certified

KINDS = ("unary_unary", "unary_stream", "stream_unary", "stream_stream")
OURS = frozenset({"orchestrator"})
TOKEN = "Zm9vYmFy-0_1"


@dataclass
class Echo:
    """A server with a method of each kind, which answers with what it was sent."""

    port: int
    calls: list[str] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def answer(self, kind: str) -> Callable[[Any, grpc.ServicerContext], Any]:
        def behave(request: Any, context: grpc.ServicerContext) -> Any:
            self.calls.append(kind)
            sent = b"".join(request) if kind.startswith("stream") else request
            return iter([sent]) if kind.endswith("stream") else sent

        return behave


@contextmanager
def echo(
    credentials: grpc.ServerCredentials | None,
    roles: frozenset[str] | None = None,
    token: str | None = None,
    listen: str = "127.0.0.1:0",
) -> Iterator[Echo]:
    server = grpc.server(Inline(), interceptors=[Door(Guard(roles, token), Slots(4, 4))])
    if credentials is None:
        service = Echo(server.add_insecure_port(listen))
    else:
        service = Echo(server.add_secure_port(listen, credentials))
    methods = {
        kind: getattr(grpc, f"{kind}_rpc_method_handler")(service.answer(kind)) for kind in KINDS
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("Echo", methods),))
    health_pb2_grpc.add_HealthServicer_to_server(health.HealthServicer(), server)
    server.start()
    try:
        yield service
    finally:
        server.stop(None).wait()


def call(
    address: str, tls: Tls | None, token: str | None = None, kind: str = "unary_unary"
) -> bytes:
    """Send one message, whatever the kind of call, and give back the answer."""
    with open_channel(address, tls, token, []) as channel:
        method = getattr(channel, kind)(f"/Echo/{kind}")
        answer = method(iter([b"hello"]) if kind.startswith("stream") else b"hello", timeout=5)
        return b"".join(answer) if kind.endswith("stream") else bytes(answer)


def refusal(address: str, tls: Tls | None, token: str | None = None, kind: str = KINDS[0]) -> str:
    """Why a call fails, as a user reads it."""
    with pytest.raises(grpc.RpcError) as failed:
        call(address, tls, token, kind)
    return why_unreachable(failed.value, address, tls)


def healthy(address: str, tls: Tls | None) -> bool:
    with open_channel(address, tls, None, []) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)  # its types have no methods
        answer = stub.Check(health_pb2.HealthCheckRequest(), timeout=5)
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


@contextmanager
def hanging_up(*, unread: bool) -> Iterator[str]:
    """The address of a server that says nothing and hangs up."""

    def serve(listening: socket.socket) -> None:
        peer, _ = listening.accept()
        with peer:
            if unread:
                peer.recv(1, socket.MSG_PEEK)

    with socket.create_server(("127.0.0.1", 0)) as listening, ThreadPoolExecutor(1) as threads:
        threads.submit(serve, listening)
        yield f"127.0.0.1:{listening.getsockname()[1]}"


@pytest.fixture(scope="module")
def authority() -> Authority:
    return issue_authority()


@pytest.fixture
def edge(tmp_path: Path, authority: Authority) -> Tls:
    return certified(tmp_path, "edge", authority)


@pytest.fixture
def orchestrator(tmp_path: Path, authority: Authority) -> Tls:
    return certified(tmp_path, "orchestrator", authority)


def running_with(tls: Tls) -> grpc.ServerCredentials:
    """Credentials of a server that was started when its certificate was still good."""
    pair = (tls.key.read_bytes(), tls.cert.read_bytes())
    return grpc.ssl_server_credentials([pair], tls.ca.read_bytes(), require_client_auth=True)


@pytest.mark.parametrize("kind", KINDS)
def test_two_certificates_of_one_authority_and_the_token_open_every_kind_of_call(
    edge: Tls, orchestrator: Tls, kind: str
) -> None:
    with echo(server_credentials(edge), OURS, TOKEN) as service:
        assert call(service.address, orchestrator, TOKEN, kind) == b"hello"


def test_a_client_of_another_authority_gets_no_further_than_tls(edge: Tls, tmp_path: Path) -> None:
    stranger = certified(tmp_path, "orchestrator")
    # it trusts our server, so that only the server can refuse
    stranger.ca.write_bytes(stranger.ca.read_bytes() + edge.ca.read_bytes())
    with echo(server_credentials(edge)) as service:
        assert "it hung up on our certificate" in refusal(service.address, stranger)
        assert service.calls == []


def test_a_server_of_another_authority_is_not_believed(orchestrator: Tls, tmp_path: Path) -> None:
    with echo(server_credentials(certified(tmp_path, "edge"))) as service:
        said = refusal(service.address, orchestrator)
    assert said.startswith(f"TLS failed with {service.address}: ")
    assert f"is not of our authority {orchestrator.ca}" in said


def test_a_client_without_tls_is_told_that_the_node_has_it(edge: Tls) -> None:
    with echo(server_credentials(edge)) as service:
        assert "give `tls`" in refusal(service.address, None)
        assert service.calls == []


def test_a_peer_that_speaks_no_tls_is_sent_nothing(edge: Tls) -> None:
    greeting = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9)
    with (
        echo(server_credentials(edge)) as service,
        socket.create_connection(("127.0.0.1", service.port), 5) as peer,
    ):
        peer.sendall(greeting)
        assert peer.recv(100) == b""


def test_a_server_without_tls_is_explained(orchestrator: Tls) -> None:
    with echo(None) as service:
        assert "it speaks no TLS" in refusal(service.address, orchestrator)
        assert service.calls == []


@pytest.mark.parametrize(
    ("from_days", "words"), [(-9, "its certificate has expired"), (9, "is not valid yet")]
)
def test_a_servers_certificate_out_of_its_time_is_explained(
    authority: Authority, orchestrator: Tls, tmp_path: Path, from_days: int, words: str
) -> None:
    other_day = datetime.now(UTC) + timedelta(days=from_days)
    edge = certified(tmp_path, "edge", authority, days=1, now=other_day)
    with echo(running_with(edge)) as service:
        assert words in refusal(service.address, orchestrator)


def test_a_client_whose_certificate_expired_is_refused(
    authority: Authority, edge: Tls, tmp_path: Path
) -> None:
    long_ago = datetime.now(UTC) - timedelta(days=9)
    old = certified(tmp_path, "orchestrator", authority, days=1, now=long_ago)
    files = (old.ca.read_bytes(), old.key.read_bytes(), old.cert.read_bytes())
    with (
        echo(server_credentials(edge)) as service,
        grpc.secure_channel(service.address, grpc.ssl_channel_credentials(*files)) as channel,
    ):
        method: Any = channel.unary_unary("/Echo/unary_unary")
        with pytest.raises(grpc.RpcError) as failed:
            method(b"hello", timeout=5)
        assert "expired by its clock" in why_unreachable(failed.value, service.address, old)
        assert service.calls == []


@pytest.mark.parametrize("credentials", [server_credentials, channel_credentials])
def test_our_own_expired_certificate_is_named_before_anything_is_opened(
    tmp_path: Path, credentials: Callable[[Tls], object]
) -> None:
    old = certified(tmp_path, "edge", days=1, now=datetime.now(UTC) - timedelta(days=9))
    with pytest.raises(UsageError, match=f"cannot use TLS: the certificate {old.cert} expired"):
        credentials(old)


def test_a_server_is_called_by_a_name_that_its_certificate_has(
    authority: Authority, orchestrator: Tls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("splitbed.security.authority.THIS_MACHINE", ("192.0.2.20",))
    with echo(server_credentials(certified(tmp_path, "edge", authority))) as service:
        said = refusal(service.address, orchestrator)
    assert "its certificate does not name 127.0.0.1" in said
    assert "--node NAME=127.0.0.1" in said


@pytest.mark.parametrize("kind", KINDS)
def test_a_certificate_for_another_role_is_refused(
    edge: Tls, authority: Authority, tmp_path: Path, kind: str
) -> None:
    ue = certified(tmp_path, "ue", authority)
    with echo(server_credentials(edge), OURS) as service:
        assert f"refused our certificate {ue.cert}" in refusal(service.address, ue, kind=kind)
        assert service.calls == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("token", [None, "wrong", TOKEN[:-1], f"{TOKEN} "])
def test_a_call_without_the_token_is_refused(
    edge: Tls, orchestrator: Tls, kind: str, token: str | None
) -> None:
    with echo(server_credentials(edge), OURS, TOKEN) as service:
        assert "refused our token" in refusal(service.address, orchestrator, token, kind)
        assert service.calls == []


def test_what_is_refused_learns_not_even_which_methods_there_are(
    edge: Tls, orchestrator: Tls
) -> None:
    with (
        echo(server_credentials(edge), OURS, TOKEN) as service,
        open_channel(service.address, orchestrator, None, []) as channel,
    ):
        refusals = set()
        for name in ("/Echo/unary_unary", "/Echo/none", "/None/none"):
            method: Any = channel.unary_unary(name)
            with pytest.raises(grpc.RpcError) as failed:
                method(b"hello", timeout=5)
            refusals.add((failed.value.code(), failed.value.details()))
    assert refusals == {(grpc.StatusCode.UNAUTHENTICATED, "no valid token")}


def test_a_call_refused_for_its_token_is_not_read(edge: Tls, orchestrator: Tls) -> None:
    taken = []

    def endless() -> Iterator[bytes]:
        while True:
            taken.append(1)
            yield bytes(1 << 20)

    with (
        echo(server_credentials(edge), OURS, TOKEN) as service,
        open_channel(service.address, orchestrator, "wrong", []) as channel,
    ):
        method: Any = channel.stream_unary("/Echo/stream_unary")
        with pytest.raises(grpc.RpcError) as failed:
            method(endless(), timeout=5)
        assert failed.value.code() == grpc.StatusCode.UNAUTHENTICATED
    assert len(taken) < 50


def test_a_token_works_without_tls_too() -> None:
    with echo(None, None, TOKEN) as service:
        assert call(service.address, None, TOKEN) == b"hello"
        assert "refused our token" in refusal(service.address, None, "wrong")


def test_any_certificate_of_the_authority_may_ask_for_health(
    edge: Tls, authority: Authority, tmp_path: Path
) -> None:
    with echo(server_credentials(edge), OURS, TOKEN) as service:
        assert healthy(service.address, certified(tmp_path, "ue", authority))
        with pytest.raises(grpc.RpcError):
            healthy(service.address, None)


def test_the_guard_sees_certificates_over_unix_sockets_too(
    edge: Tls, orchestrator: Tls, authority: Authority, tmp_path: Path
) -> None:
    address = f"unix:{tmp_path}/control"
    with echo(server_credentials(edge), OURS, listen=address):
        assert call(address, orchestrator) == b"hello"
        assert "refused" in refusal(address, certified(tmp_path, "ue", authority))


def test_a_port_where_nobody_listens_is_no_matter_of_tls(orchestrator: Tls) -> None:
    with echo(None) as service:
        address = service.address
    said = refusal(address, orchestrator)
    assert said.startswith(f"cannot reach {address}: ")
    assert "Connection refused" in said


@pytest.mark.parametrize("unread", [False, True])  # the kernel resets where bytes were not read
def test_whoever_hangs_up_before_tls_has_refused_no_certificate(
    orchestrator: Tls, unread: bool
) -> None:
    with hanging_up(unread=unread) as address:
        assert refusal(address, orchestrator).startswith(f"cannot reach {address}: ")


@pytest.mark.parametrize("unread", [False, True])
def test_whoever_hangs_up_on_plain_words_may_want_tls(unread: bool) -> None:
    with hanging_up(unread=unread) as address:
        assert "see what else listens there" in refusal(address, None)


def test_a_token_file_is_read_without_its_line_end(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    assert read_token(tmp_path / "token") == TOKEN
    assert read_token(None) is None


@pytest.mark.parametrize("content", [b"", b"\n", b"two words", b"\xff\xfe", "t\u00f6ken".encode()])
def test_a_file_without_a_token_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "token").write_bytes(content)
    with pytest.raises(UsageError, match="token"):
        read_token(tmp_path / "token")


def test_a_token_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=str(tmp_path / "none")):
        read_token(tmp_path / "none")
