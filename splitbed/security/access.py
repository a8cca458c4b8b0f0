"""Who may call whom: TLS with certificates on both ends, roles, and a bearer token.

    channel ── TLS: both certificates of one authority ──> server ── token, role ──> service

A peer without a certificate gets no further than TLS, and TLS tells it nothing.
"""

import secrets
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc

from splitbed.errors import UsageError
from splitbed.media.files import text_in
from splitbed.security.pem_files import PemFiles

if TYPE_CHECKING:
    from splitbed.node.config import Tls

Refusal = tuple[grpc.StatusCode, str]
HEALTH_CHECK = frozenset({"/grpc.health.v1.Health/Check"})

RUN_KEY = "splitbed-run"
"""Metadata of every call on the control plane of a node that others may ask, too."""

_TOKEN_KEY = "authorization"  # noqa: S105  the name of a header, no secret
_NOT_CONNECTED = "failed to connect to all addresses"

# what gRPC's core (BoringSSL) says of a handshake, and what that means to us
_HANDSHAKES = {
    "certificate has expired": (
        "its certificate has expired, or our clock is ahead: `splitbed certs renew` where it was "
        "made, and copy it there"
    ),
    "certificate is not yet valid": (
        "its certificate is not valid yet by our clock: set the clocks of both machines"
    ),
    "unable to get local issuer certificate": (
        "its certificate is not of our authority {tls.ca}: copy ca.pem and the certificates of all "
        "machines from the same `splitbed certs init`"
    ),
    "Hostname Verification Check failed": (
        "its certificate does not name {host}: `splitbed certs renew` with --node NAME={host}, "
        "or use a name that it has"
    ),
    "WRONG_VERSION_NUMBER": "it speaks no TLS: give it `tls` too, or take it away here",
}
# a server that refuses a certificate, or a peer without TLS, hangs up without a word
_HUNG_UP = ("Socket closed", "Connection reset by peer")
_NO_TLS = (
    "it hung up when greeted without TLS, as a node with TLS does: give `tls` (ca, cert, key), or "
    "see what else listens there"
)
_NOT_BELIEVED = (
    "it hung up on our certificate {tls.cert}, which is not of its authority, or has expired by "
    "its clock; its log says which"
)


def server_credentials(tls: "Tls") -> grpc.ServerCredentials:
    """For a server that demands a certificate of the same authority from its clients.

    Files that are replaced are read again, for whoever connects from then on. Raises UsageError
    for files that cannot be used, saying which and what repairs it.
    """
    files = PemFiles(tls)

    def shown() -> grpc.ServerCertificateConfiguration:
        ca, cert, key = files.content
        return grpc.ssl_server_certificate_configuration([(key, cert)], ca)

    def renewed() -> Any:  # the types of grpc do not know that None leaves it as it is
        return shown() if files.renewed() else None

    return grpc.dynamic_ssl_server_credentials(shown(), renewed, require_client_authentication=True)


def channel_credentials(tls: "Tls") -> grpc.ChannelCredentials:
    """For a client that shows its certificate; raises as :func:`server_credentials`."""
    ca, cert, key = PemFiles(tls).content
    return grpc.ssl_channel_credentials(ca, key, cert)


def open_channel(
    address: str,
    tls: "Tls | None",
    token: str | None,
    options: Sequence[tuple[str, int | str]],
    run: str | None = None,
) -> grpc.Channel:
    """A channel to ``address``, which the server's certificate must name; with ``token`` on calls.

    Raises as :func:`server_credentials`.
    """
    if tls is None:
        channel = grpc.insecure_channel(address, options)
    else:
        if address.startswith("unix:"):  # a path is no name that a certificate can hold
            options = [*options, ("grpc.default_authority", "localhost")]
        channel = grpc.secure_channel(address, channel_credentials(tls), options)
    known = bearing(token, run)
    return grpc.intercept_channel(channel, _Adds(known)) if known else channel


def bearing(token: str | None, run: str | None = None) -> tuple[tuple[str, str], ...]:
    """The metadata of a call that bears a token, and is of a run."""
    added = {_TOKEN_KEY: token and f"Bearer {token}", RUN_KEY: run}
    return tuple((key, value) for key, value in added.items() if value)


def read_token(file: Path | None) -> str | None:
    """The token in ``file``; UsageError for a file that cannot be read or holds none."""
    if file is None:
        return None
    try:
        token = text_in(file).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read the token in {file}: {error}") from None
    if not token or not (token.isascii() and token.isprintable()) or " " in token:
        raise UsageError(
            f"{file} holds no token: one word of ASCII, as `splitbed certs init --token` makes"
        )
    return token


class Guard:
    """Knows who may call: with the token, and a certificate of one of ``names``.

    ``names`` None is anyone, for servers without TLS; ``token`` None asks for none.
    Whether a node is healthy may be asked by every peer that TLS let in. A refusal says nothing
    about the node.
    """

    def __init__(self, names: Container[str] | None, token: str | None) -> None:
        self._names = names
        self._bearer = None if token is None else f"Bearer {token}".encode()

    def refusal(
        self, method: str, metadata: Iterable[tuple[str, str | bytes]], names: Iterable[str]
    ) -> "Refusal | None":
        """Why a call with this metadata is refused, of a peer whose certificate has these names."""
        if method in HEALTH_CHECK:
            return None
        if not self._bears_token(metadata):
            return grpc.StatusCode.UNAUTHENTICATED, "no valid token"
        if self._names is not None and not any(name in self._names for name in names):
            return grpc.StatusCode.PERMISSION_DENIED, "not for this certificate"
        return None

    def _bears_token(self, metadata: Iterable[tuple[str, str | bytes]]) -> bool:
        if self._bearer is None:
            return True
        borne = [value for key, value in metadata if key == _TOKEN_KEY]
        given = borne[0] if len(borne) == 1 else ""
        given = given.encode() if isinstance(given, str) else given
        return secrets.compare_digest(given, self._bearer)


def names_of(context: grpc.ServicerContext) -> tuple[str, ...]:
    """Who called, by its certificate; nobody known where it showed none."""
    known: Mapping[str, Any] = context.auth_context()  # the types of grpc know one value each
    return tuple(name.decode(errors="replace") for name in known.get("x509_common_name", ()))


def why_unreachable(error: grpc.RpcError, address: str, tls: "Tls | None") -> str:
    """Why a call to the node at ``address`` failed, in words that say what repairs it.

    ``tls`` is what the channel was opened with.  A call that waits until the server is ready gets
    no other error than a deadline: ask without waiting to be told why.
    """
    assert isinstance(error, grpc.Call)  # every error of a call is also the call itself
    details = " ".join((error.details() or "").split())
    match error.code():
        # once connected, "Socket closed" means only that
        case grpc.StatusCode.UNAVAILABLE if details.startswith(_NOT_CONNECTED):
            if said := _handshake(details, address, tls):
                return f"TLS failed with {address}: {said}"
            return f"cannot reach {address}: is a node running there? {details}"
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            return f"{address} did not answer in time: is the address right, a firewall between?"
        case grpc.StatusCode.UNAUTHENTICATED:
            return f"{address} refused our token: token_file must hold the same on every machine"
        case grpc.StatusCode.PERMISSION_DENIED:
            who = f"our certificate {tls.cert}" if tls else "us"
            return (
                f"{address} refused {who}: each node needs that of its own name, the orchestrator "
                "its own"
            )
        case code:
            return f"{address} failed: {code.name}: {details}"


def _handshake(details: str, address: str, tls: "Tls | None") -> str | None:
    """What one end's TLS had against the other's; None when something else went wrong."""
    if "Handshake read failed" in details:  # hung up before TLS began
        return None
    if any(mark in details for mark in _HUNG_UP):
        return _NOT_BELIEVED.format(tls=tls) if tls else _NO_TLS
    host = address.rpartition(":")[0].strip("[]")
    for mark, meaning in _HANDSHAKES.items():
        if mark in details:
            return meaning.format(tls=tls, host=host)
    return details if "handshake failed" in details else None


@dataclass(frozen=True, repr=False)  # the token is among the metadata
class _CallDetails(grpc.ClientCallDetails):
    method: str
    timeout: float | None
    metadata: Any
    credentials: grpc.CallCredentials | None
    wait_for_ready: bool | None
    compression: grpc.Compression | None


class _Adds(
    grpc.UnaryUnaryClientInterceptor,
    grpc.UnaryStreamClientInterceptor,
    grpc.StreamUnaryClientInterceptor,
    grpc.StreamStreamClientInterceptor,
):
    """Adds metadata to each call; credentials of gRPC's own would, but only over TLS."""

    def __init__(self, added: tuple[tuple[str, str], ...]) -> None:
        self._added = added

    def _add(self, continuation: Any, details: grpc.ClientCallDetails, request: Any) -> Any:
        with_token = _CallDetails(
            details.method,
            details.timeout,
            (*(details.metadata or ()), *self._added),
            details.credentials,
            details.wait_for_ready,
            details.compression,
        )
        return continuation(with_token, request)

    intercept_unary_unary: Any = _add
    intercept_unary_stream: Any = _add
    intercept_stream_unary: Any = _add
    intercept_stream_stream: Any = _add
