"""Who may call whom: TLS with certificates on both ends, roles, and a bearer token.

    channel ── TLS: both certificates of one authority ──> server ── token, role ──> service

A peer without a certificate gets no further than TLS, and TLS tells it nothing.
"""

import secrets
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc

from splitbed.errors import UsageError
from splitbed.logs import log
from splitbed.node.lease import KEY
from splitbed.telemetry import ERRORS

if TYPE_CHECKING:
    from splitbed.node.config import Tls

    _Handler = grpc.RpcMethodHandler[Any, Any]  # only the types of grpc know that it is generic

HEALTH_CHECK = frozenset({"/grpc.health.v1.Health/Check"})

_TOKEN_KEY = "authorization"  # noqa: S105  the name of a header, no secret
_NOT_CONNECTED = "failed to connect to all addresses"

# what gRPC's core (BoringSSL) says of a handshake, and what that means to us
_HANDSHAKES = {
    "certificate has expired": (
        "its certificate has expired, or our clock is ahead: `splitbed certs renew` where it was "
        "made, copy it there, restart the node"
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

    Raises UsageError for files that cannot be used, saying which and what repairs it.
    """
    ca, cert, key = _checked(tls)
    return grpc.ssl_server_credentials([(key, cert)], ca, require_client_auth=True)


def channel_credentials(tls: "Tls") -> grpc.ChannelCredentials:
    """For a client that shows its certificate; raises as :func:`server_credentials`."""
    ca, cert, key = _checked(tls)
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
    added = {_TOKEN_KEY: token and f"Bearer {token}", KEY: run}
    return tuple((key, value) for key, value in added.items() if value)


def read_token(file: Path | None) -> str | None:
    """The token in ``file``; UsageError for a file that cannot be read or holds none."""
    if file is None:
        return None
    try:
        token = file.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read the token in {file}: {error}") from None
    if not token or not (token.isascii() and token.isprintable()) or " " in token:
        raise UsageError(
            f"{file} holds no token: one word of ASCII, as `splitbed certs init --token` makes"
        )
    return token


class Guard(grpc.ServerInterceptor):
    """Refuses calls without the token, and of peers whose certificate is of none of ``names``.

    ``names`` None is anyone, for servers without TLS; ``token`` None asks for none.
    ``open_methods`` are for every peer that TLS let in. A refusal says nothing about the node.
    """

    def __init__(
        self,
        names: Container[str] | None,
        token: str | None,
        open_methods: frozenset[str] = HEALTH_CHECK,
    ) -> None:
        self._names = names
        self._bearer = None if token is None else f"Bearer {token}".encode()
        self._open_methods = open_methods

    def intercept_service(
        self,
        continuation: "Callable[[grpc.HandlerCallDetails], _Handler | None]",
        handler_call_details: grpc.HandlerCallDetails,
    ) -> "_Handler | None":
        """The handler of a call, or one that refuses it before any request is read."""
        if handler_call_details.method in self._open_methods:
            return continuation(handler_call_details)
        if not self._bears_token(handler_call_details):
            return grpc.stream_stream_rpc_method_handler(_refuse_token)
        handler = continuation(handler_call_details)
        return handler if handler is None or self._names is None else self._for_names(handler)

    def _bears_token(self, call: grpc.HandlerCallDetails) -> bool:
        if self._bearer is None:
            return True
        borne = [value for key, value in call.invocation_metadata if key == _TOKEN_KEY]
        given = borne[0] if len(borne) == 1 else ""
        given = given.encode() if isinstance(given, str) else given
        return secrets.compare_digest(given, self._bearer)

    def _for_names(self, handler: "_Handler") -> "_Handler":
        # only the context of a call knows the peer's certificate, and the behaviour first sees it
        kind = (
            f"{'stream' if handler.request_streaming else 'unary'}_"
            f"{'stream' if handler.response_streaming else 'unary'}"
        )
        behave = getattr(handler, kind)

        def checked(request: Any, context: grpc.ServicerContext, *send: Any) -> Any:
            self._check_name(context)
            return behave(request, context, *send)

        vars(checked).update(vars(behave))  # among them whether gRPC hands it a way to send
        make = getattr(grpc, f"{kind}_rpc_method_handler")
        made: _Handler = make(checked, handler.request_deserializer, handler.response_serializer)
        return made

    def _check_name(self, context: grpc.ServicerContext) -> None:
        assert self._names is not None
        names = names_of(context)
        if not any(name in self._names for name in names):
            ERRORS.labels(kind="refused").inc()
            log.warning("refused a call", peer=context.peer(), reason="name", common_name=names)
            context.abort(grpc.StatusCode.PERMISSION_DENIED, "not for this certificate")


def names_of(context: grpc.ServicerContext) -> tuple[str, ...]:
    """Who called, by its certificate; nobody known where it showed none."""
    known: Mapping[str, Any] = context.auth_context()  # the types of grpc know one value each
    return tuple(name.decode(errors="replace") for name in known.get("x509_common_name", ()))


def _refuse_token(_requests: Any, context: grpc.ServicerContext) -> Any:
    ERRORS.labels(kind="refused").inc()
    log.warning("refused a call", peer=context.peer(), reason="token")
    context.abort(grpc.StatusCode.UNAUTHENTICATED, "no valid token")


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


def _checked(tls: "Tls") -> tuple[bytes, bytes, bytes]:
    from splitbed.security.certificates import explain

    if wrong := explain(tls):
        raise UsageError(f"cannot use TLS: {wrong}")
    return tls.ca.read_bytes(), tls.cert.read_bytes(), tls.key.read_bytes()


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
