"""How a node answers calls: read here, as long as somebody waits, refused with the reason."""

import errno
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from inspect import isgeneratorfunction
from typing import TYPE_CHECKING, Any, TypeVar, cast

import grpc

from splitbed.errors import MachineError, NodeError, SplitbedError
from splitbed.logs import SELDOM
from splitbed.telemetry import ERRORS

if TYPE_CHECKING:
    Handler = grpc.RpcMethodHandler[Any, Any]  # only the types of grpc know that it is generic

_MOST_WORDS = 2000
_FULL = (errno.ENOSPC, errno.EDQUOT)


def kind_of(handler: "Handler") -> str:
    """The attribute that has the behaviour of a handler: unary_stream, of one request."""
    ends = handler.request_streaming, handler.response_streaming
    return "_".join("stream" if streaming else "unary" for streaming in ends)


@contextmanager
def given_up(context: grpc.ServicerContext, cancel: Callable[[], None]) -> Iterator[None]:
    """Leave nothing on the wire: `cancel` when the caller gives up what happens inside."""
    done = threading.Event()
    if not context.add_callback(lambda: None if done.is_set() else cancel()):
        raise NodeError("it was given up before anything was sent")
    try:
        yield
    finally:
        if context.is_active():  # else the callback has to find it undone
            done.set()


_Method = TypeVar("_Method", bound=Callable[..., object])


def refuse(method: str, context: grpc.ServicerContext, error: SplitbedError) -> None:
    """End a call of `method` with the reason."""
    ERRORS.labels(kind=type(error).__name__).inc()
    kind = context.peer().rpartition(":")[0], method, str(error)
    SELDOM.warning("refused", kind, method=method, reason=str(error))
    # longer ones do not fit into the headers that carry them, where a byte may take three
    words = str(error).encode(errors="replace")[:_MOST_WORDS].decode(errors="ignore")
    context.abort(grpc.StatusCode.FAILED_PRECONDITION, words)


@contextmanager
def _in_words() -> Iterator[None]:
    """Of what the machine lacks inside, what it is and what repairs it."""
    try:
        yield
    except MemoryError as error:
        raise MachineError(
            f"it needs more memory than there is ({error}); ask for less, or for less at once"
        ) from error
    except OSError as error:
        repair = f"; make room in {tempfile.gettempdir()}, or start the node with another TMPDIR"
        raise MachineError(
            f"it failed: {error.strerror or error}{repair if error.errno in _FULL else ''}"
        ) from error


def answering(method: _Method) -> _Method:
    """Answer an RPC with the reason, not a traceback, when it raises one of our errors.

    Or where the machine lacks memory, or room on a disk.
    """

    @wraps(method)
    def unary(self: object, request: object, context: grpc.ServicerContext) -> object:
        try:
            with _in_words():
                return method(self, request, context)
        except SplitbedError as error:
            refuse(method.__name__, context, error)
            return None

    @wraps(method)
    def stream(self: object, request: object, context: grpc.ServicerContext) -> Iterator[Any]:
        try:
            with _in_words():
                yield from cast(Iterator[Any], method(self, request, context))
        except SplitbedError as error:
            refuse(method.__name__, context, error)

    return cast(_Method, stream if isgeneratorfunction(method) else unary)


class Requests(grpc.ServerInterceptor):
    """Parses what a call is sent, in the call: INVALID_ARGUMENT for what is no such message.

    gRPC would parse it before a handler is called, and keeps some 20 KB of each call that it could
    not; so it is given no parser, and handlers that take bytes.
    """

    def intercept_service(
        self,
        continuation: "Callable[[grpc.HandlerCallDetails], Handler | None]",
        handler_call_details: grpc.HandlerCallDetails,
    ) -> "Handler | None":
        """The handler of a call, of bytes."""
        handler = continuation(handler_call_details)
        if handler is None or handler.request_deserializer is None:
            return handler
        kind = kind_of(handler)
        behave, parse = getattr(handler, kind), handler.request_deserializer

        def parsed(data: bytes, context: grpc.ServicerContext) -> Any:
            try:
                return parse(data)
            except Exception:  # whatever a parser raises, there is no message
                context.abort(
                    grpc.StatusCode.INVALID_ARGUMENT, f"{len(data)} bytes are no such request"
                )

        def answered(sent: Any, context: grpc.ServicerContext, *send: Any) -> Any:
            if handler.request_streaming:
                return behave((parsed(one, context) for one in sent), context, *send)
            return behave(parsed(sent, context), context, *send)

        vars(answered).update(vars(behave))  # among them whether gRPC hands it a way to send
        make = getattr(grpc, f"{kind}_rpc_method_handler")
        made: Handler = make(answered, None, handler.response_serializer)
        return made
