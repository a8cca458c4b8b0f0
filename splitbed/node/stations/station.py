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

    def encoding(self, tensors: Tensors, timeline: Timeline, slowed: Slowed) -> "Encoding":
        """What goes on, the first of it there. Raises NodeError for what cannot be encoded."""
        assert self.gives is not None
        encoding = Encoding(self.gives, self.gives.pieces(tensors), timeline, slowed)
        with timeline.stage("encode"):
            encoding.first = encoding.next()
        return encoding


@dataclass
class Encoding:
    """What goes on while it is encoded: each piece after the ``first`` when it is asked for.

    What these take is ``encoding_ns`` of the hop, and CPU time of `encode`.
    """

    coder: Coder
    pieces: Iterator[Piece]
    timeline: Timeline
    slowed: Slowed
    first: Piece | None = None
    nbytes: int = 0
    """Of all that was given."""

    def next(self) -> Piece | None:
        """The next piece, None behind the last. Raises NodeError for what cannot be encoded."""
        with self.slowed(1):
            return next(self.pieces, None)

    def given(self, hop: str) -> Iterator[Piece]:
        """The pieces, as they are sent on a hop. Raises NodeError for what cannot be encoded."""
        piece, timeline = self.first, self.timeline
        while piece is not None:
            self.nbytes += piece.data.nbytes
            yield piece
            timeline.spend(hop)
            start_ns = monotonic_ns()
            piece = self.next()
            timeline.encoding_ns += monotonic_ns() - start_ns
            timeline.spend("encode")
