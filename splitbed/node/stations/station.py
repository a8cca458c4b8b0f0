"""A station: what a node does with a frame, one step after another. Nothing here sends or waits.

[preprocess] or [decode] ──> [part] ──> [result] ──> [encode]

What is in brackets may be absent.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from threading import Lock
from time import monotonic_ns

from splitbed import flow
from splitbed.codecs.coder import Coder, Piece
from splitbed.codecs.releases import Release, releases_of
from splitbed.errors import NodeError
from splitbed.node.model_info import ModelInfo
from splitbed.node.shared.work import Ran
from splitbed.tensors import Tensors
from splitbed.timeline import WAIT, Timeline

Slowed = Callable[[float], AbstractContextManager[None]]
"""What makes a stage that computes with so many threads as slow as the node is to be."""

ANY_THREADS = float("inf")


def at_full_speed(_threads: float) -> AbstractContextManager[None]:
    """The pace of a node that is not slowed."""
    return nullcontext()


@dataclass(frozen=True)
class Station:
    """One station of an itinerary on the node that it is of.

    ``run`` is its part, None where that has no layers; ``share`` runs it where several UEs share
    it. ``takes`` decodes what comes in, ``gives`` encodes what goes on, None where that is a
    result, or nothing. What it ``hands_on`` as it came is neither decoded nor encoded. Where it
    ``overlaps``, what goes on is sent while it is encoded.
    """

    asked: flow.Station
    model: ModelInfo
    run: Callable[[Tensors], Tensors] | None = None
    share: Callable[[Tensors], Ran] | None = None
    takes: Coder | None = None
    gives: Coder | None = None
    hands_on: Coder | None = None
    overlaps: bool = False
    turn: Lock = field(default_factory=Lock)
    """Held while a frame is here where others have no turns: a codec sees one after another."""

    def decode(self, came: Tensors, timeline: Timeline, slowed: Slowed) -> Tensors:
        """What the station before encoded. Raises NodeError for what it cannot have."""
        assert self.takes is not None
        # codecs have one thread: a limit for the threads of a part would hardly slow them
        with timeline.stage("decode"), slowed(1):
            return self.takes.decode(came)

    def part(self, tensors: Tensors, timeline: Timeline, slowed: Slowed) -> Tensors:
        """What its part makes of them."""
        name = f"part{self.asked.part}"
        if self.run is None:  # a stall would be booked in a stage that does nothing
            timeline.mark(name)
            return tensors
        if self.share is not None:
            came_ns = monotonic_ns()
            ran = self.share(tensors)
            timeline.add(WAIT, came_ns, ran.start_ns)
            timeline.add(name, ran.start_ns, ran.end_ns)
            timeline.together = ran.together
            return ran.tensors
        with timeline.stage(name), slowed(ANY_THREADS):
            return self.run(tensors)

    def result(self, outputs: Tensors, timeline: Timeline, slowed: Slowed) -> Tensors:
        """What the task makes of outputs. Raises NodeError for what it refuses."""
        with timeline.stage("result"), slowed(1):
            return self.model.result_of(outputs)

    def encode(self, tensors: Tensors, timeline: Timeline, slowed: Slowed) -> Tensors:
        """What goes on. Raises NodeError for what cannot be encoded."""
        assert self.gives is not None
        with timeline.stage("encode"), slowed(1):
            return self.gives.encode(tensors)

    def encoding(
        self, tensors: Tensors, timeline: Timeline, slowed: Slowed, done: Callable[[], None]
    ) -> "Encoding":
        """What goes on, the first of it there; ``done`` is called once all of it is.

        Raises NodeError for what cannot be encoded.
        """
        assert self.gives is not None
        start_ns = timeline.begin()
        encoding = Encoding(
            self.gives, self.gives.pieces(tensors), timeline, slowed, done, start_ns
        )
        encoding.next()
        return encoding


@dataclass
class Encoding:
    """What goes on in pieces: some ``made`` ahead, each other one when who sends it asks for it.

    The first are the stage `encode`; what the others take is in the time of the hop, and CPU time
    of `encode`. Several may send it at once, each at its own pace.
    """

    coder: Coder
    pieces: Iterator[Piece]
    timeline: Timeline
    slowed: Slowed
    done: Callable[[], None]
    start_ns: int
    made: list[Piece] = field(default_factory=list)
    ended: bool = False
    """Whether all are made."""
    spent: dict[str, int] = field(default_factory=dict)
    """CPU time of those that were made while it was sent."""
    _made_ns: list[int] = field(default_factory=list)
    """Of each, what encoding took since it is sent."""
    _sent_ns: int | None = None
    _failed: NodeError | None = None
    _lock: Lock = field(default_factory=Lock)

    @property
    def nbytes(self) -> int:
        """Of all that was made."""
        return sum(piece.data.nbytes for piece in self.made)

    @property
    def releases(self) -> tuple[Release, ...]:
        """Of what was made while it was sent, what a link may have to wait for."""
        sizes = (piece.data.nbytes for piece in self.made)
        return releases_of([*zip(self._made_ns, sizes, strict=True)])

    def next(self) -> None:
        """Make the next piece. Raises NodeError for what cannot be encoded."""
        if self._failed is not None:
            raise self._failed
        start_ns = monotonic_ns()
        try:
            with self.slowed(1):
                piece = next(self.pieces)
        except NodeError as error:
            self._failed = error
            raise
        self.made.append(piece)
        if self._sent_ns is not None:
            self._sent_ns += monotonic_ns() - start_ns
        self._made_ns.append(self._sent_ns or 0)
        if piece.last and piece.info.name == self.coder.encoded[-1].name:
            self.ended = True
            self.done()

    def begin_sending(self) -> None:
        """What is made from now on is in the time of hops."""
        self.timeline.end("encode", self.start_ns)
        self._sent_ns = 0

    def given(self, hop: str, timeline: Timeline) -> Iterator[Piece]:
        """The pieces, as they are sent on a hop. Raises NodeError for what cannot be encoded."""
        place = 0
        while self._makes(place, hop, timeline):
            yield self.made[place]
            place += 1

    def _makes(self, place: int, hop: str, timeline: Timeline) -> bool:
        """Make a piece, unless it is made; whether there is one."""
        with self._lock:
            if place == len(self.made) and not self.ended:
                timeline.spend(hop)
                self.next()
                timeline.spend("encode", self.spent)
            return place < len(self.made)
