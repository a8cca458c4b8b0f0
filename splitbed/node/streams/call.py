"""A gRPC stream of raw bytes both ways, as the end that opens it has it.

One thread sends at a time, and one receives, which may be another.

gRPC's streams hand each message to a thread that sends it, and from one that receives it: some
0.1 ms of a frame. Its unary calls and, by an option, its streams of answers are driven by who waits
for them. :class:`DrivenCall` is the same for both directions, of what gRPC makes those of; the
parts are not of its public interface, and as they are since 2019. Where they are not as they were,
:class:`QueuedCall` does with what is public.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from queue import Full, Queue
from typing import Any, Protocol

import grpc

from splitbed.logs import log

with suppress(ImportError):
    from grpc import _channel
    from grpc._cython import cygrpc

Metadata = Sequence[tuple[str, str]]
_LOOK_S = 0.1
"""How often who waits for room looks whether the call has ended."""


class StreamCall(Protocol):
    """A call that is open."""

    def send(self, message: bytes) -> bool:
        """Send a message once the one before is on its way; whether the call had not ended."""

    @property
    def messages(self) -> Iterator[bytes]:
        """The messages as they come; grpc.RpcError, which is a grpc.Call, when it fails."""

    @property
    def ended(self) -> bool:
        """Whether it is known to have ended."""

    @property
    def error(self) -> grpc.RpcError:
        """How it ended."""

    def cancel(self) -> None:
        """Give it up, from any thread."""

    def clear(self) -> None:
        """Take what gRPC still has to say of a call that has ended."""


def open_call(channel: grpc.Channel, method: str, metadata: Metadata) -> StreamCall:
    """The call of a method, driven by who uses it wherever this version of gRPC lets it be."""
    try:
        return DrivenCall(channel, method, metadata)
    except (AttributeError, NameError, TypeError) as error:
        log.warning("frames take some 0.1 ms longer with this grpcio", reason=str(error))
        return QueuedCall(channel, method, metadata)


class DrivenCall:
    """Driven by the threads that use it: of those that wait for something one polls for all."""

    def __init__(self, channel: grpc.Channel, method: str, metadata: Metadata) -> None:
        self._sending = cygrpc.OperationType.send_message
        self._receiving = cygrpc.OperationType.receive_message
        none = cygrpc.PropagationConstants.GRPC_PROPAGATE_DEFAULTS
        begin = (
            (
                cygrpc.SendInitialMetadataOperation(tuple(metadata), 0),
                cygrpc.ReceiveStatusOnClientOperation(0),
            ),
            (cygrpc.ReceiveInitialMetadataOperation(0),),
        )
        due = _channel._STREAM_STREAM_INITIAL_DUE
        self._state = _channel._RPCState(due, None, None, None, None)
        self._state.method = self._state.target = method  # of its telemetry
        self._channel = channel  # which would end its calls once nobody has it
        known: Any = channel
        self._call = known._channel.segregated_call(
            none, method.encode(), None, None, (), None,
            tuple((operations, None) for operations in begin), cygrpc.build_census_context(), None,
        )  # fmt: skip
        self._driven = _channel._SingleThreadedRendezvous(self._state, self._call, None, None)
        self._handle = _channel._handle_event
        self._polled = False

    def send(self, message: bytes) -> bool:
        state = self._state
        with state.condition:
            self._wait(lambda: self._sending not in state.due or state.code is not None)
            if state.code is not None:
                return False
            self._begin(self._sending, cygrpc.SendMessageOperation(message, 0))
        return True

    @property
    def messages(self) -> Iterator[bytes]:
        return iter(self._receive, None)

    @property
    def ended(self) -> bool:
        return self._state.code is not None

    @property
    def error(self) -> grpc.RpcError:
        error: grpc.RpcError = self._driven
        return error

    def cancel(self) -> None:
        self._driven.cancel()

    def clear(self) -> None:
        with self._state.condition:
            self._wait(lambda: not self._state.due)

    def _receive(self) -> bytes | None:
        state = self._state
        with state.condition:
            if state.code is None:
                self._begin(self._receiving, cygrpc.ReceiveMessageOperation(0))
            self._wait(
                lambda: (
                    state.response is not None
                    or (state.code is not None and self._receiving not in state.due)
                )
            )
            message: bytes | None = state.response
            state.response = None
        if message is None and state.code is not grpc.StatusCode.OK:
            raise self.error
        return message

    def _begin(self, what: object, operation: object) -> None:
        """Have gRPC do something, whose end is an event; the condition is held."""
        self._state.due.add(what)
        if not self._call.operate((operation,), None):
            self._state.due.remove(what)

    def _wait(self, done: Callable[[], bool]) -> None:
        """Until then; the condition is held, but while events are waited for."""
        condition = self._state.condition
        while not done():
            if self._polled:
                condition.wait()
                continue
            self._polled, event = True, None
            condition.release()
            try:
                event = self._call.next_event()
            finally:
                condition.acquire()
                self._polled = False
                condition.notify_all()
            self._handle(event, self._state, None)


class QueuedCall:
    """Messages are queued for the thread of gRPC's own that sends them."""

    def __init__(self, channel: grpc.Channel, method: str, metadata: Metadata) -> None:
        self._queue: Queue[bytes | None] = Queue(1)
        self._channel = channel  # as of a driven one
        calls: grpc.StreamStreamMultiCallable[bytes, bytes]
        calls = channel.stream_stream(method, None, None)
        self._call: Any = calls(iter(self._queue.get, None), metadata=tuple(metadata))
        if not self._call.add_callback(self._let_go):
            self._let_go()

    def _let_go(self) -> None:
        """Of the thread that waits for what is to be sent; one more message does that, too."""
        with suppress(Full):
            self._queue.put_nowait(None)

    def send(self, message: bytes) -> bool:
        while not self.ended:
            with suppress(Full):
                self._queue.put(message, timeout=_LOOK_S)
                return True
        return False

    @property
    def messages(self) -> Iterator[bytes]:
        messages: Iterator[bytes] = self._call
        return messages

    @property
    def ended(self) -> bool:
        return not self._call.is_active()

    @property
    def error(self) -> grpc.RpcError:
        error: grpc.RpcError = self._call
        return error

    def cancel(self) -> None:
        self._call.cancel()

    def clear(self) -> None:
        """There is nothing: a thread of gRPC's own takes it."""
