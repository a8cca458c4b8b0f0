"""The nodes next to this one: those that it dials, and those that have dialled it.

The node nearer the user dials; frames go either way on the stream.
"""

from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from threading import Lock

from splitbed.errors import NodeError
from splitbed.node.stations.assignment import Assignment
from splitbed.node.stream import Stream
from splitbed.node.streams.connection import Dialled
from splitbed.node.streams.senders import Senders
from splitbed.v1 import nodes_pb2
from splitbed.v1.tensors_pb2 import Header, Hello

_MOST_NAME, _MOST_NEAR = 64, 64


@dataclass
class Neighbours:
    """``far`` are those that this node dials, by name.

    Every method raises NodeError where there is no way, or where the other is gone.
    """

    far: Mapping[str, Dialled] = field(default_factory=dict)
    _near: dict[str, Stream] = field(default_factory=dict)
    """Streams that others opened, by what these are called."""
    _senders: Senders = field(default_factory=Senders)
    _lock: Lock = field(default_factory=Lock)
    """Of the streams: each is served in a thread of its own."""

    def near(self, name: str) -> Stream | None:
        """The stream that this one opened; None where it has not."""
        return self._near.get(name)

    def dialled(self, name: str, other: str) -> Dialled:
        """The other, which a node called `name` dials."""
        if other not in self.far:
            raise NodeError(
                f"there is no way from {name} to {other}: neither is it dialled here, nor has it "
                "dialled"
            )
        return self.far[other]

    def towards(self, assignment: Assignment, at: int) -> AbstractContextManager[Stream]:
        """The stream to the one that frames go on to from that station."""
        to = assignment.itinerary[at + 1].node
        if (near := self.near(to)) is not None:
            return nullcontext(near)
        shared = assignment.queues is not None
        return self.dialled(assignment.node, to).stream(shared=shared)

    def greet(self, other: str, name: str) -> None:
        """Tell another who this one is, if it is dialled, so that frames can be sent back."""
        if other in self.far:
            with self.far[other].stream() as stream:
                stream.send(Header(hello=Hello(node=name)))
                stream.receive("hello")

    def warm(self, request: nodes_pb2.WarmLinkRequest) -> None:
        """Open the congestion windows of the connection to one that is dialled."""
        with self.dialled("here", request.peer).stream() as stream:
            stream.warm(request.bytes, request.back)

    def cancel(self, names: Collection[str]) -> None:
        """Give up what is under way to those of these that are dialled, and back; none: to all."""
        for far in [one for name, one in self.far.items() if not names or name in names]:
            far.cancel()

    def let_go(self, names: Collection[str]) -> None:
        """Give up what those of these do not take that have dialled; none: what anybody does."""
        with self._lock:
            near = [*self._near.items()]
        for stream in [one for name, one in near if not names or name in names]:
            stream.let_go()

    def answer_hello(self, name: str, stream: Stream) -> None:
        """Know who opened a stream by what he calls himself, if that is he."""
        if stream.names and name not in stream.names:
            raise NodeError(
                f"refused {stream.peer}: it calls itself {name[:_MOST_NAME]}, its certificate "
                f"{', '.join(stream.names)}; give each node the certificate of its own name "
                "(splitbed certs init --node NAME=HOST)"
            )
        with self._lock:
            if len(name) > _MOST_NAME or len({*self._near, name}) > _MOST_NEAR:
                raise NodeError(f"refused to know {name[:_MOST_NAME]} and {len(self._near)} others")
            self._near[name] = stream
        stream.send(Header(hello=Hello()))

    def check_sender(self, assignment: int, name: str, stream: Stream) -> None:
        """Frames of an assignment come from the node `name`; refused are those of anybody else."""
        self._senders.check(assignment, name, stream)

    def gone(self, stream: Stream) -> None:
        """Who opened it is not there any more."""
        with self._lock:
            for name in [name for name, one in self._near.items() if one is stream]:
                del self._near[name]
        self._senders.gone(stream)
