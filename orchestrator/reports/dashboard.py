"""The dashboard without Grafana: a page that draws the same panels from the same queries.

browser ──> this ──> Prometheus     (its HTTP API, two paths of it, GET alone)
"""

import json
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.client import HTTPException
from http.server import BaseHTTPRequestHandler
from importlib.resources import files
from typing import Any
from urllib.parse import urlsplit

from splitbed.errors import UsageError
from splitbed.web import listening

PROMETHEUS, LISTEN = "http://127.0.0.1:9090", "127.0.0.1:9300"

_QUERIES = ("/api/v1/query", "/api/v1/query_range")
_PAGES = {
    "/": ("page.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
    "/pictures.js": ("pictures.js", "text/javascript; charset=utf-8"),
    "/splitbed.json": ("splitbed.json", "application/json"),
}
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "connect-src 'self'; img-src data:; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
_TIMEOUT_S = 10.0


def serve_dashboard(
    prometheus: str = PROMETHEUS, listen: str = LISTEN, *, insecure: bool = False
) -> None:
    """Serve the page until Ctrl-C or SIGTERM.

    Raises UsageError for what is no URL of a Prometheus and for an address that others reach,
    unless `insecure`; MachineError when the address is taken.
    """
    with dashboard(prometheus, listen, insecure=insecure) as url:
        sys.stderr.write(f"dashboard: {url} (of {prometheus}; Ctrl-C ends it)\n")
        try:
            threading.Event().wait()
        except KeyboardInterrupt:  # what splitbed.command makes of SIGTERM, too
            return


@contextmanager
def dashboard(prometheus: str, listen: str, *, insecure: bool = False) -> Iterator[str]:
    """The page, served while the context lasts; the context has its URL."""
    asked = urlsplit(prometheus)
    if asked.scheme not in ("http", "https") or not asked.netloc or asked.query or asked.fragment:
        raise UsageError(f"{prometheus!r} is no URL of a Prometheus: give one as {PROMETHEUS}")
    handler = type("_DashboardOf", (_Handler,), {"prometheus": prometheus.rstrip("/")})
    with listening("the dashboard", listen, handler, insecure=insecure) as url:
        yield url


class _Handler(BaseHTTPRequestHandler):
    prometheus: str

    def do_GET(self) -> None:
        path, query = urlsplit(self.path).path, urlsplit(self.path).query
        if path in _PAGES:
            name, kind = _PAGES[path]
            body = files("orchestrator.reports").joinpath("dashboards", name).read_bytes()
            self._answer(HTTPStatus.OK, kind, body)
        elif path in _QUERIES:
            self._answer(*_asked(f"{self.prometheus}{path}?{query}"))
        else:
            self._answer(HTTPStatus.NOT_FOUND, "text/plain", b"no such page\n")

    def _answer(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  named by http.server
        """Say nothing of each request."""


def _asked(url: str) -> tuple[int, str, bytes]:
    """Prometheus's answer: status, type, body. When there is none, one in the same form."""
    try:
        with _OPENER.open(url, timeout=_TIMEOUT_S) as reply:
            return reply.status, "application/json", reply.read()
    except urllib.error.HTTPError as error:  # its body says what is wrong with the query
        return error.code, "application/json", error.read()
    except (OSError, HTTPException) as error:
        reason = getattr(error, "reason", error)
        where = url.partition("/api/")[0]
        said = {"status": "error", "error": f"cannot reach Prometheus at {where}: {reason}"}
        return HTTPStatus.BAD_GATEWAY, "application/json", json.dumps(said).encode()


# a proxy of the environment is for the world outside, not for a Prometheus beside this
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
