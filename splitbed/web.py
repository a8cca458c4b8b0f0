"""Serving HTTP: a node's /metrics, the orchestrator's pages."""

import socket
import socketserver
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from splitbed.errors import MachineError, UsageError
from splitbed.node.config import Tls
from splitbed.security.addresses import checked_address, host_and_port
from splitbed.security.pem_files import PemFiles

_SILENT_S = 10.0  # a peer that has not asked by then is hung up on, or takes no answer
_MOST_PEERS = 64  # at a time: each has a thread


@contextmanager
def listening(
    what: str,
    address: str,
    handler: type[BaseHTTPRequestHandler],
    tls: Tls | None = None,
    *,
    insecure: bool = False,
) -> Iterator[str]:
    """Serve `what` on `address`, IP:PORT, in threads of its own; the context has the URL.

    With `tls`, peers must show a certificate of its authority. On loopback without, requests must
    be for loopback: a page of elsewhere whose name leads here, once it is in this machine's browser
    (DNS rebinding), gets nothing. Raises UsageError for an address
    that others reach without TLS, unless `insecure`, and for certificates that cannot be used;
    MachineError when the address is taken.
    """
    checked_address(address, allowed=tls is not None or insecure)
    if address.startswith("unix:"):
        raise UsageError(f"cannot serve {what} on {address}: give IP:PORT, HTTP takes no Unix path")
    files = PemFiles(tls) if tls else None
    place = host_and_port(address)
    try:
        server = _Server(place, _hanging_up(handler), tls, files)
    except OSError as error:
        raise MachineError(
            f"cannot serve {what} on {address}: {error.strerror}; "
            f"`ss -ltnp 'sport = :{place[1]}'` names who has that port, or choose another"
        ) from None
    thread = threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True)
    thread.start()
    try:
        yield f"{'https' if tls else 'http'}://{address}"
    finally:
        server.shutdown()
        server.server_close()


def _context(tls: Tls) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=tls.ca)
    context.load_cert_chain(tls.cert, tls.key)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def _hanging_up(handler: type[BaseHTTPRequestHandler]) -> type[BaseHTTPRequestHandler]:
    def parse_request(self: Any) -> bool:
        parsed = handler.parse_request(self)
        self.server.asked(self.request)
        # browsers always name a host
        if parsed and not self.server.answers(self.headers.get("Host", "localhost")):
            self.send_error(HTTPStatus.MISDIRECTED_REQUEST, explain="ask for 127.0.0.1")
            return False
        return bool(parsed)

    return type(
        handler.__name__, (handler,), {"timeout": _SILENT_S, "parse_request": parse_request}
    )


class _Server(ThreadingHTTPServer):
    def __init__(
        self,
        place: tuple[str, int],
        handler: type[BaseHTTPRequestHandler],
        tls: Tls | None,
        files: PemFiles | None,
    ) -> None:
        self.address_family = socket.AF_INET6 if ":" in place[0] else socket.AF_INET
        super().__init__(place, handler)
        self._tls, self._files = tls, files
        self._for_loopback = not tls and ip_address(place[0]).is_loopback
        self._context = _context(tls) if tls else None
        self._room = threading.BoundedSemaphore(_MOST_PEERS)
        self._awaited: dict[socket.socket, float] = {}
        """Since when each peer that has not asked yet is there."""

    def get_request(self) -> tuple[socket.socket, Any]:
        peer, address = super().get_request()
        if self._tls and self._files and self._files.renewed():
            self._context = _context(self._tls)
        if self._context:
            # the handshake is the handling thread's: a peer that is slow at it holds up nobody
            peer = self._context.wrap_socket(peer, server_side=True, do_handshake_on_connect=False)
        return peer, address

    def process_request(self, request: Any, client_address: Any) -> None:
        if self._room.acquire(blocking=False):
            self._awaited[request] = time.monotonic()
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.asked(request)
            self._room.release()

    def asked(self, request: socket.socket) -> None:
        """Wait for it no more."""
        self._awaited.pop(request, None)

    def answers(self, host: str) -> bool:
        """Whether it may be asked as this, which a request has as its Host."""
        with suppress(ValueError):  # a name, mostly
            name = urlsplit(f"//{host}").hostname or ""
            return not self._for_loopback or name == "localhost" or ip_address(name).is_loopback
        return False

    def service_actions(self) -> None:
        """Hang up on who says too little, a byte now and then; called ten times a second."""
        for peer, since_s in self._awaited.copy().items():
            if time.monotonic() - since_s > _SILENT_S:
                with suppress(OSError):
                    socket.socket.shutdown(peer, socket.SHUT_RDWR)  # nothing of TLS's, which waits

    def server_bind(self) -> None:
        # HTTPServer would ask the name service for this machine's name here, and may wait for it
        socketserver.TCPServer.server_bind(self)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of peers that failed at TLS or went away: they learn it themselves."""
