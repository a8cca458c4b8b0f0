"""The data plane: a long-lived gRPC stream between two nodes, on which frames go either way.

    node that dials                               node that is dialled
      Dialled.stream() ──▶ Stream ── messages ──▶ Stream ──▶ what `streams` was given

gRPC has nothing to make of the messages, which are bytes. Whoever waits for what comes reads the
stream himself, and whoever sends hands his messages to gRPC himself. Several frames may be under
way: each sends at a time, and one of those that wait reads for all.
"""

import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

import grpc

from splitbed.codecs.coder import Piece
from splitbed.errors import FrameDropped, NodeError, SplitbedError
from splitbed.messages import Received, messages, messages_of_pieces, padding
from splitbed.node.answering import refuse
from splitbed.node.config import Tls
from splitbed.node.parts.fetch import Fetch
from splitbed.node.streams.call import StreamCall, open_call
from splitbed.node.streams.incoming import NEXT, Incoming, Key
from splitbed.node.streams.window import Window
from splitbed.security.access import bearing, names_of, open_channel, why_unreachable
from splitbed.security.pem_files import PemFiles
from splitbed.tensors import MAX_TENSORS_BYTES, TensorInfo, Tensors
from splitbed.v1.nodes_pb2 import Delivery
from splitbed.v1.tensors_pb2 import Header
from splitbed.wire import CHANNEL_OPTIONS
from splitbed.workers.wanted import check_wanted, held_in_turn

_MOST_NAME, _MOST_WORDS = 64, 2000
"""Of what a peer says of a frame that does not come."""
_SERVICE, _METHOD = "splitbed.v1.Data", "Frames"


class Stream:
    """One end of a stream.

    ``put`` sends messages, each made when it is to be sent. Both it and ``incoming`` raise
    NodeError once the peer, ``peer`` in words, is known to be gone.
    """

    def __init__(
        self,
        peer: str,
        incoming: Iterator[bytes],
        put: Callable[[Iterator[bytes]], None],
        names: Collection[str] = (),
        let_go: Callable[[], None] = lambda: None,
        is_open: Callable[[], bool] = lambda: True,
    ) -> None:
        self.peer = peer
        self.is_open = is_open
        self.let_go = let_go
        """Ends a stream whose peer does not take what is being sent to it, or has not said what
        became of frames; from any thread."""
        self.names = names
        """Of the node that dialled, by its certificate; none where it showed none."""
        self.rate_mbit: float | None = None
        """Of the link in the direction that this end sends, infinity without one; None: unknown."""
        self.window = Window()
        """What is on its way to the peer."""
        self.incoming = Incoming(peer, incoming, self.window.arrived)
        self.torn = False
        """Whether something is half sent on it, or half taken: it is of no more use."""
        self._half_sent = False
        self._put = put
        self._sending = threading.Lock()

    def send(self, header: Header, tensors: Tensors | None = None) -> None:
        """Send what `header` says, and a frame's `tensors`."""
        self._send(messages(header, tensors, self.rate_mbit))

    def send_pieces(
        self, header: Header, infos: Sequence[TensorInfo], pieces: Iterable[Piece]
    ) -> None:
        """Send a frame with the tensors `infos`, each piece of them as it comes to be."""
        self._send(messages_of_pieces(header, infos, pieces, self.rate_mbit))

    def receive(self, body: str) -> Received:
        """What the peer sends of a `body` of :class:`Header`, which must come next.

        Raises NodeError for anything else, and for a frame that failed before it came here.
        """
        return self.find(Key(body))

    def receive_frame(self, frame: int, assignment: int = 0) -> Received:
        """The frame of this number; FrameDropped where a node had no room for it."""
        received = self.find(Key("frame", frame, assignment))
        if received.header.WhichOneof("body") != "frame":
            raise lost(self.peer, received)
        return received

    def find(self, key: Key) -> Received:
        """What the peer sends of this key; of a frame also why it does not come."""
        try:
            return self.incoming.find(key)
        except StopIteration:
            raise NodeError(f"{self.peer} ended the stream") from None

    def warm(self, nbytes: int, back: int = 0) -> None:
        """Send `nbytes` that mean nothing, and have so many sent `back`.

        So the congestion windows are open.
        """
        self._send(padding(nbytes, back))
        self.receive("padding").skip_padding()

    def answer_padding(self, received: Received) -> None:
        """Take what :meth:`warm` sent."""
        received.skip_padding()
        self._send(padding(min(received.header.padding.back, MAX_TENSORS_BYTES)))

    def _send(self, sent: Iterator[bytes]) -> None:
        with self._sending:
            if self._half_sent:
                raise NodeError(f"nothing can follow what was half sent to {self.peer}")
            try:
                self._put(sent)
            except BaseException:
                self.torn = self._half_sent = True
                raise

    def __iter__(self) -> "Stream":
        return self

    def __next__(self) -> Received:
        return self.incoming.find(NEXT)


def lost(peer: str, received: Received) -> NodeError:
    """Why a frame does not come, or end, as its number was answered: it failed, or was dropped.

    Or it came where it was to end elsewhere, or ended where it was to come.
    """
    header = received.header
    match header.WhichOneof("body"):
        case "failure":
            return NodeError(f"{peer} failed: {header.failure.reason[:_MOST_WORDS]}")
        case "dropped":
            node = header.dropped.node[:_MOST_NAME]
            return FrameDropped(f"{node} had no room for frame {header.dropped.frame}", node)
        case "frame":
            return NodeError(f"{peer} sent frame {header.frame.frame}, which was to end elsewhere")
    return NodeError(f"{peer} said of frame {header.ended.frame} that it ended: it was to come")


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
