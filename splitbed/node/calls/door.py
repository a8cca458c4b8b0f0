"""The door of a port: every call comes through it, and is looked at before anything is spent on it.

    call ──> token, certificate ──> lease ──> slot ──> its thread: messages, answer
               Guard                 Lease     Slots

All but the last is done by the one thread that takes a server's calls, where nothing waits. gRPC
runs a method there whose thread pool is :class:`Inline`, and lets it answer from any thread; its
own health service is made so.
"""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, TypeVar

import grpc

from splitbed.logs import SELDOM, log
from splitbed.node.answering import kind_of
from splitbed.node.calls.lease import Lease
from splitbed.node.calls.slots import Call, Slots
from splitbed.security.access import HEALTH_CHECK, Guard, names_of
from splitbed.telemetry import ERRORS
from splitbed.workers.wanted import WANTED

if TYPE_CHECKING:
    from splitbed.node.answering import Handler

_Send = Callable[[object], None]
_T = TypeVar("_T")
CHECKS = 8
"""How often at a time it may be asked whether a node is there; half of that by one caller."""
_BUSY = "it answers as many calls as it may (limits.streams): try again when one has ended"
_CHECKED = "it is asked too often at a time whether it is healthy: try again"


def _unknown(_requests: object, context: grpc.ServicerContext) -> Any:
    context.abort(grpc.StatusCode.UNIMPLEMENTED, "there is no such method")


_DESCRIBE = "/splitbed.v1.Node/Describe"
"""Who asks no more than this has not begun a run: a node may turn out to be another."""
_UNKNOWN: "Handler" = grpc.stream_stream_rpc_method_handler(_unknown)


_READY = HEALTH_CHECK | {
    f"/inference.GRPCInferenceService/{name}"
    for name in ("ServerLive", "ServerReady", "ModelReady")
}
"""They ask no more than whether a node, or its model, is there."""


class Inline(ThreadPoolExecutor):
    """Runs what it is given at once: the threads of a server are those of its door."""

    def submit(self, fn: Callable[..., _T], /, *args: object, **kwargs: object) -> "Future[_T]":
        """The result, which is there."""
        done: Future[_T] = Future()
        done.set_result(fn(*args, **kwargs))
        return done


class Door(grpc.ServerInterceptor):
    """Lets in whom the guard knows, if he holds the lease or may take it, while slots are free.

    Whether a node is there may be asked beside all that, in slots of its own. For a server whose
    threads are :class:`Inline`; ``slots`` are all that may be full.
    """

    def __init__(self, guard: Guard, slots: Slots, lease: Lease | None = None) -> None:
        self._guard = guard
        self._slots = slots
        self._checks = Slots(CHECKS, CHECKS // 2)
        self._lease = lease

    def intercept_service(
        self,
        continuation: "Callable[[grpc.HandlerCallDetails], Handler | None]",
        handler_call_details: grpc.HandlerCallDetails,
    ) -> "Handler | None":
        """The handler of a call, as one that begins at this door."""
        handler = continuation(handler_call_details) or _UNKNOWN
        method = handler_call_details.method

        def enter(requests: Iterator[Any], context: grpc.ServicerContext, send: _Send) -> None:
            self._enter(_Answer(handler, requests, send), method, context)

        entering: Any = enter
        entering.experimental_non_blocking = True
        made: Handler = grpc.stream_stream_rpc_method_handler(
            entering, handler.request_deserializer, handler.response_serializer
        )
        return made

    def end_silent(self) -> None:
        """End the calls whose callers have said nothing for too long; now and then."""
        self._slots.end_silent()
        self._checks.end_silent()

    def _enter(self, answer: "_Answer", method: str, context: grpc.ServicerContext) -> None:
        names = names_of(context)
        who = ", ".join(names) or context.peer().rpartition(":")[0]
        if refused := self._guard.refusal(method, context.invocation_metadata(), names):
            ERRORS.labels(kind="refused").inc()
            code, reason = refused
            SELDOM.warning(
                "refused a call",
                (who, reason),
                peer=context.peer(),
                reason=reason,
                common_name=names,
            )
            context.abort(code, reason)
        slots, busy = self._checks, _CHECKED
        if method not in _READY:
            slots, busy = self._slots, _BUSY
            if self._lease is not None and (
                taken := self._lease.refusal(context, takes=method != _DESCRIBE)
            ):
                context.abort(grpc.StatusCode.FAILED_PRECONDITION, taken)
        if not slots.take(Call(who, method, context, answer.stays), answer):
            ERRORS.labels(kind="refused").inc()
            SELDOM.warning("refused a call", (who, "busy"), peer=context.peer(), reason="busy")
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, busy)


class _Requests(Iterator[Any]):
    """What the caller sends; it is known when he is waited for."""

    def __init__(self, requests: Iterator[Any], call: Call) -> None:
        self._requests = requests
        self._call = call

    def __next__(self) -> Any:
        with self._call.waiting():  # until it ends, too: what was sent may take long to work on
            message = next(self._requests)
        self._call.asked = True
        return message


class _Answer:
    """Answers a call by a handler of any kind, in the thread of its slot."""

    def __init__(self, handler: "Handler", requests: Iterator[Any], send: _Send) -> None:
        self._handler = handler
        self._behave = getattr(handler, kind_of(handler))
        self._requests = requests
        self._send = send
        self.stays: bool = getattr(self._behave, "experimental_non_blocking", False)
        """Whether it sends by itself, and ends by itself."""

    def __call__(self, call: Call) -> None:
        wanted = WANTED.set(call.context.is_active)
        try:
            self._answer(call)
        except Exception as error:
            known: Any = call.context  # its types lack the code that a refusal has set
            gone = isinstance(error, grpc.RpcError) and not call.context.is_active()
            if known.code() is None and not gone:
                log.exception("a call failed by a fault of this node", method=call.method)
                call.context.set_code(grpc.StatusCode.UNKNOWN)
                call.context.set_details(f"{type(error).__name__}: {error}")
            if call.context.is_active():
                self._send(None)
        finally:
            WANTED.reset(wanted)

    def _answer(self, call: Call) -> None:
        requests = _Requests(self._requests, call)
        given = requests if self._handler.request_streaming else next(requests, None)
        if not call.context.is_active():
            return
        if given is None:
            call.context.abort(grpc.StatusCode.INVALID_ARGUMENT, "it takes a request, none came")
        if self.stays:
            self._stay(given, call)
            return
        answer = self._behave(given, call.context)
        for one in answer if self._handler.response_streaming else (answer,):
            with call.waiting():
                self._send(one)
            if not call.context.is_active():
                return
        self._send(None)

    def _stay(self, given: Any, call: Call) -> None:
        """Send what others tell: who sends frames, in his thread; of whoever watches, in this one.

        gRPC's health service tells under a lock, for which the thread that takes all calls waits
        when somebody has ceased to watch; a message is sent once that thread knows of it.
        """
        if self._handler.request_streaming:
            self._behave(given, call.context, partial(self._sent, call))
            call.since_s = time.monotonic()
            return
        told = SimpleQueue[object]()
        if not call.context.add_callback(partial(told.put, None)):
            return
        self._behave(given, call.context, told.put)
        call.since_s = time.monotonic()
        for one in iter(told.get, None):
            self._sent(call, one)
        if call.context.is_active():
            self._send(None)

    def _sent(self, call: Call, message: object) -> None:
        call.sends_s = time.monotonic()
        try:
            self._send(message)
        finally:
            call.sends_s = None
