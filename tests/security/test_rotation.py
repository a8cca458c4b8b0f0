"""Certificates that are replaced while they are in use: the next connection has the new ones."""

import shutil
import socket
import ssl
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
from cryptography import x509

from splitbed import telemetry
from splitbed.errors import NodeError, UsageError
from splitbed.node.calls.door import Door, Inline
from splitbed.node.calls.slots import Slots
from splitbed.node.config import Tls
from splitbed.node.stream import Stream
from splitbed.node.streams.connection import Dialled, streams
from splitbed.security import certificates
from splitbed.security.access import Guard, server_credentials
from splitbed.security.authority import issue_authority
from splitbed.security.certificates import create, renew
from splitbed.security.pem_files import PemFiles
from splitbed.v1.nodes_pb2 import Delivery
from splitbed.v1.tensors_pb2 import Header, Hello
from tests.node.loopback import free_port
from tests.security.certified import certified


def put(tls: Tls, there: Tls) -> None:
    """Put files of `tls` in the place of others, as an operator does: each at once."""
    for name in ("ca", "cert", "key"):
        new = getattr(there, name).with_suffix(".new")
        shutil.copy(getattr(tls, name), new)
        new.replace(getattr(there, name))


@contextmanager
def serving(tls: Tls, serve: Callable[[Stream], None]) -> Iterator[int]:
    door = Door(Guard(None, None), Slots(4, 4))
    server = grpc.server(Inline(), interceptors=[door])
    server.add_generic_rpc_handlers((streams(serve),))
    port = server.add_secure_port("127.0.0.1:0", server_credentials(tls))
    server.start()
    try:
        yield port
    finally:
        server.stop(None).wait()


def serial(port: int, tls: Tls) -> int:
    """Of the certificate that a server shows whoever connects now."""
    trusting = ssl.create_default_context(cafile=tls.ca)
    trusting.load_cert_chain(tls.cert, tls.key)
    with (
        socket.create_connection(("127.0.0.1", port), 5) as plain,
        trusting.wrap_socket(plain, server_hostname="127.0.0.1") as peer,
    ):
        shown = peer.getpeercert(binary_form=True)
    assert shown is not None
    return x509.load_der_x509_certificate(shown).serial_number


def own_serial(tls: Tls) -> int:
    return x509.load_pem_x509_certificate(tls.cert.read_bytes()).serial_number


def ignore(stream: Stream) -> None:
    for _ in stream:
        pass


def test_a_server_shows_new_certificates_and_keeps_the_old_while_the_new_cannot_be_used(
    tmp_path: Path,
) -> None:
    authority = issue_authority()
    edge, new, peer = (certified(tmp_path, name, authority) for name in ("edge", "edge", "ue"))
    with serving(edge, ignore) as port:
        before = own_serial(edge)
        assert serial(port, peer) == before
        edge.key.write_bytes(new.key.read_bytes())  # half of a copy
        assert serial(port, peer) == before
        put(new, edge)
        assert serial(port, peer) == own_serial(new) != before


def test_who_has_a_certificate_of_the_authority_before_is_let_in_no_more(tmp_path: Path) -> None:
    old, new = issue_authority(), issue_authority()
    edge, peer = (certified(tmp_path, name, old) for name in ("edge", "ue"))
    new_edge, new_peer = (certified(tmp_path, name, new) for name in ("edge", "ue"))
    with serving(edge, ignore) as port:
        put(new_edge, edge)
        assert serial(port, new_peer) == own_serial(new_edge)
        with pytest.raises((ssl.SSLError, ConnectionError)):
            serial(port, peer)


def test_a_node_that_dials_shows_its_new_certificate_on_the_next_stream(tmp_path: Path) -> None:
    old, new = issue_authority(), issue_authority()
    edge, own = (certified(tmp_path, name, old) for name in ("edge", "ue"))
    new_edge, new_own = (certified(tmp_path, name, new) for name in ("edge", "ue-2"))
    came = []

    def greet(stream: Stream) -> None:
        for _ in stream:
            came.append(stream.names)
            stream.send(Header(hello=Hello()))

    def hello(dialled: Dialled) -> None:
        with dialled.stream() as stream:
            stream.send(Header(hello=Hello(node="ue")))
            stream.receive("hello")

    with serving(edge, greet) as port:
        dialled = Dialled("edge", f"127.0.0.1:{port}", own)
        hello(dialled)
        put(new_edge, edge)
        put(new_own, own)
        hello(dialled)  # the stream that is open stays
        dialled.cancel()
        hello(dialled)
        dialled.close()
    assert came == [("ue",), ("ue",), ("ue-2",)]


def test_a_node_fetches_a_part_with_its_new_certificate(tmp_path: Path) -> None:
    old, new = issue_authority(), issue_authority()
    edge, own = (certified(tmp_path, name, old) for name in ("edge", "ue"))
    with serving(edge, ignore) as port:
        dialled = Dialled("edge", f"127.0.0.1:{port}", own)
        put(certified(tmp_path, "edge", new), edge)
        put(certified(tmp_path, "ue-2", new), own)
        with pytest.raises(NodeError, match="UNIMPLEMENTED"):  # it came in, and there is none
            list(dialled.part(Delivery()))
        dialled.close()


def test_a_stream_stays_while_a_part_is_fetched_with_a_new_certificate(tmp_path: Path) -> None:
    old, new = issue_authority(), issue_authority()
    edge, own = (certified(tmp_path, name, old) for name in ("edge", "ue"))
    new_edge, new_own = (certified(tmp_path, name, new) for name in ("edge", "ue-2"))

    def greet(stream: Stream) -> None:
        for _ in stream:
            stream.send(Header(hello=Hello(node="+".join(stream.names))))

    def hello(stream: Stream) -> str:
        stream.send(Header(hello=Hello(node="ue")))
        return stream.receive("hello").header.hello.node

    with serving(edge, greet) as port:
        dialled = Dialled("edge", f"127.0.0.1:{port}", own)
        with dialled.stream() as stream:
            assert hello(stream) == "ue"
            put(new_edge, edge)
            put(new_own, own)
            with pytest.raises(NodeError, match="UNIMPLEMENTED"):
                list(dialled.part(Delivery()))
            assert hello(stream) == "ue"
        dialled.cancel()
        with dialled.stream() as stream:
            assert hello(stream) == "ue-2"
        dialled.close()


@pytest.mark.parametrize("how", ["replaced", "gone"])
def test_files_that_change_while_they_are_read_are_read_again(
    tmp_path: Path, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = issue_authority()
    own, new = (certified(tmp_path, name, authority) for name in ("edge", "edge"))
    files = PemFiles(own)
    before = files.content
    judge = certificates.explain

    def judged_too_early(tls: Tls) -> str | None:
        wrong = judge(tls)
        tls.key.unlink()
        if how == "replaced":
            tls.key.write_bytes(new.key.read_bytes())
        return wrong

    own.cert.touch()
    with monkeypatch.context() as patched:
        patched.setattr(certificates, "explain", judged_too_early)
        assert not files.renewed()
    with pytest.raises(UsageError, match="cannot use TLS"):
        PemFiles(own)
    assert files.content == before
    put(new, own)
    assert files.renewed()
    assert files.content[1:] == (new.cert.read_bytes(), new.key.read_bytes())


def test_metrics_are_served_with_renewed_certificates(tmp_path: Path) -> None:
    old, new = issue_authority(), issue_authority()
    edge, peer = certified(tmp_path, "edge", old), certified(tmp_path, "ue", new)
    address = f"127.0.0.1:{free_port()}"
    trusting = ssl.create_default_context(cafile=peer.ca)
    trusting.load_cert_chain(peer.cert, peer.key)
    with telemetry.serving(address, edge):
        put(certified(tmp_path, "edge", new), edge)
        url = f"https://{address}/metrics"
        with urllib.request.urlopen(url, timeout=5, context=trusting) as reply:
            assert reply.status == 200


def test_renew_is_all_that_a_server_needs(tmp_path: Path) -> None:
    create(certs := tmp_path / "certs", {}, 1, token=False)
    edge, ue = (
        Tls(ca=certs / "ca.pem", cert=certs / f"{name}.pem", key=certs / f"{name}.key")
        for name in ("edge", "ue")
    )
    with serving(edge, ignore) as port:
        before = serial(port, ue)
        renew(certs, {}, 2)
        assert serial(port, ue) == own_serial(edge) != before
