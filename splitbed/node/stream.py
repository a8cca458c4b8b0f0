"""The data plane: a long-lived gRPC stream between two nodes, on which frames go either way.

Whoever waits for what comes reads the stream himself, and whoever sends hands his messages to gRPC
himself. Several frames may be under way: each sends at a time, and one of those that wait reads for
all. How it is opened is in :mod:`splitbed.node.streams.connection`.
"""

import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

from splitbed.codecs.coder import Piece
from splitbed.errors import FrameDropped, NodeError
from splitbed.messages import Received, messages, messages_of_pieces, padding
from splitbed.node.streams.incoming import NEXT, Incoming, Key
from splitbed.node.streams.window import Window
from splitbed.tensors import MAX_TENSORS_BYTES, TensorInfo, Tensors
from splitbed.v1.tensors_pb2 import Header

_MOST_NAME, _MOST_WORDS = 64, 2000
"""Of what a peer says of a frame that does not come."""


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
