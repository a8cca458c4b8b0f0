"""A stream opened between two nodes: by the one that dials, at the one that is dialled.

    node that dials                               node that is dialled
      Dialled.stream() ──▶ Stream ── messages ──▶ Stream ──▶ what `streams` was given

gRPC has nothing to make of the messages, which are bytes.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import grpc

from splitbed.errors import NodeError, SplitbedError
from splitbed.node.answering import refuse
from splitbed.node.config import Tls
from splitbed.node.parts.fetch import Fetch
from splitbed.node.stream import Stream
from splitbed.node.streams.call import StreamCall, open_call
from splitbed.security.access import bearing, names_of, open_channel, why_unreachable
from splitbed.security.pem_files import PemFiles
from splitbed.v1.nodes_pb2 import Delivery
from splitbed.wire import CHANNEL_OPTIONS
from splitbed.workers.wanted import check_wanted, held_in_turn

_SERVICE, _METHOD = "splitbed.v1.Data", "Frames"


class Dialled:
    """The node at ``address``, ``name`` in words; the connection outlives streams and stays warm.

    Everything raises NodeError when that node is gone, or refuses.
    """

    def __init__(
        self, name: str, address: str, tls: Tls | None = None, token: str | None = None
    ) -> None:
        self.name = name
        self.address = address
        self._tls = tls
        # a frame sent twice would be measured as one: a node that goes away is told, not retried
        self._options = [*CHANNEL_OPTIONS, ("grpc.enable_retries", 0)]
        self._files = PemFiles(tls) if tls else None
        self._channel = open_channel(address, tls, None, self._options)
        self._metadata = bearing(token)
        self._renewing = threading.Lock()
        self._lock = threading.Lock()
        self._open: tuple[StreamCall, Stream] | None = None
        self._fetch: Fetch | None = None

    @contextmanager
    def stream(self, *, shared: bool = False) -> Iterator[Stream]:
        """The stream, for one at a time, or `shared` by frames that are under way together.

        Opened where none is, closed when an error leaves it, a shared one if it is torn. Who was
        given up while he waited does not enter: nobody would end what he waits for then.
        """
        with ExitStack() as turn:
            turn.enter_context(held_in_turn(self._lock))
            if self._open is not None and self._open[0].ended:
                self._open[0].clear()
                self._open = None
            call, stream = self._open = self._open or self._opened()
            if shared:
                turn.close()
            try:
                check_wanted()  # now that cancel() finds it, whoever is given up from here on
                yield stream
            except BaseException as error:
                if stream.torn or not shared:
                    call.cancel()
                    stream.incoming.end(NodeError(f"given up with another frame: {error}"))
                raise

    def part(self, delivery: Delivery) -> Fetch:
        """A part, on the same connection as the frames, while somebody waits for it."""
        fetch = Fetch(self._renewed(), self._metadata, delivery, self._failure)
        self._fetch = fetch
        check_wanted()  # now that cancel() finds it
        return fetch

    def cancel(self) -> None:
        """Give up what is under way; the next stream is a new one."""
        if (fetch := self._fetch) is not None:
            fetch.cancel()
        if (opened := self._open) is not None:
            opened[0].cancel()

    def close(self) -> None:
        """Close stream and connection."""
        self.cancel()
        self._channel.close()

    def _renewed(self) -> grpc.Channel:
        """The connection, a new one for new certificates; calls of the one before have it."""
        with self._renewing:
            if self._files and self._files.renewed():
                self._channel = open_channel(self.address, self._tls, None, self._options)
            return self._channel

    def _opened(self) -> tuple[StreamCall, Stream]:
        call = open_call(self._renewed(), f"/{_SERVICE}/{_METHOD}", self._metadata)
        peer = f"the {self.name} at {self.address}"

        def put(sent: Iterator[bytes]) -> None:
            if not all(map(call.send, sent)):
                raise self._failure(call.error)

        def incoming() -> Iterator[bytes]:
            try:
                yield from call.messages
            except grpc.RpcError as error:
                raise self._failure(error) from None

        return call, Stream(peer, incoming(), put)

    def _failure(self, error: grpc.RpcError) -> NodeError:
        # every error of a call is also the call itself
        assert isinstance(error, grpc.Call)
        if self._tls and error.code() is grpc.StatusCode.UNAVAILABLE:
            why = why_unreachable(error, self.address, self._tls)
            return NodeError(f"the {self.name} failed: {why}")
        if error.code() is grpc.StatusCode.OK:
            return NodeError(f"the {self.name} at {self.address} ended the stream")
        what = f"{error.code().name}: {error.details()}"
        return NodeError(f"the {self.name} at {self.address} failed: {what}")


def streams(serve: Callable[[Stream], None]) -> grpc.GenericRpcHandler:
    """What answers :class:`Dialled` nodes: each stream is `serve`d until that returns.

    Its NodeErrors end the stream with the reason.
    """
    handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.stream_stream_rpc_method_handler(
        _Served(serve), None, None
    )
    return grpc.method_handlers_generic_handler(_SERVICE, {_METHOD: handler})


class _Served:
    """Calls of a stream, which gRPC hands a way to send from any thread."""

    def __init__(self, serve: Callable[[Stream], None]) -> None:
        self._serve = serve
        self.experimental_non_blocking = True  # as the health service of gRPC's own has it

    def __call__(
        self,
        requests: Iterator[bytes],
        context: grpc.ServicerContext,
        send: Callable[[bytes | None], None],
    ) -> None:
        peer, sending = f"the node at {context.peer()}", threading.Lock()
        stream: Stream

        def incoming() -> Iterator[bytes]:
            try:
                yield from requests
            except grpc.RpcError:
                raise NodeError(f"{peer} hung up") from None

        def put(sent: Iterator[bytes]) -> None:
            with sending:
                for message in sent:
                    send(message)
            if not context.is_active():
                raise NodeError(f"{peer} hung up")

        def let_go() -> None:
            if sending.locked() or stream.torn or stream.incoming.awaited:
                context.cancel()

        try:
            stream = Stream(peer, incoming(), put, names_of(context), let_go, context.is_active)
            self._serve(stream)
        except SplitbedError as error:
            if context.is_active():
                refuse(_METHOD, context, error)
        else:
            send(None)
