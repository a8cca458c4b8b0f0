"""A gRPC stream that is driven by the thread that uses it."""

from collections.abc import Iterator, Sequence
from typing import Any

import grpc
from grpc import _channel
from grpc._cython import cygrpc

_SEND = cygrpc.OperationType.send_message


class StreamCall:
    """A stream of raw bytes both ways, as the end that opens it has it; for one thread at a time.

    gRPC's streams hand each message to a thread that sends it, and from one that receives it: some
    0.1 ms of a frame. Its unary calls and, by an option, its streams of answers are driven by who
    waits for them. This is the same for both directions, of what gRPC makes those of; the parts are
    not of its public interface, and as they are since 2019.
    """

    def __init__(
        self, channel: grpc.Channel, method: str, metadata: Sequence[tuple[str, str]]
    ) -> None:
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
        known: Any = channel
        self._call = known._channel.segregated_call(
            none, method.encode(), None, None, (), None,
            tuple((operations, None) for operations in begin), cygrpc.build_census_context(), None,
        )  # fmt: skip
        self._driven = _channel._SingleThreadedRendezvous(self._state, self._call, None, None)

    def send(self, message: bytes) -> bool:
        """Send a message once the one before is on its way; whether the call had not ended."""
        while _SEND in self._state.due and self._state.code is None:
            self._driven._consume_next_event()
        with self._state.condition:
            if self._state.code is not None:
                return False
            self._state.due.add(_SEND)
            if not self._call.operate((cygrpc.SendMessageOperation(message, 0),), None):
                self._state.due.remove(_SEND)
        return True

    @property
    def messages(self) -> Iterator[bytes]:
        """The messages as they come; grpc.RpcError, which is a grpc.Call, when it fails."""
        messages: Iterator[bytes] = self._driven
        return messages

    @property
    def ended(self) -> bool:
        """Whether it is known to have ended."""
        return self._state.code is not None

    @property
    def error(self) -> grpc.RpcError:
        """How it ended."""
        error: grpc.RpcError = self._driven
        return error

    def cancel(self) -> None:
        """Give it up, from any thread."""
        self._driven.cancel()

    def clear(self) -> None:
        """Take what gRPC still has to say of a call that has ended."""
        while self._state.due:
            self._driven._consume_next_event()
