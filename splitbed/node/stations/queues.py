"""How frames of an assignment wait for one another, where several may be under way."""

import math
from dataclasses import dataclass

from splitbed import flow
from splitbed.codecs import codec_named
from splitbed.errors import NodeError
from splitbed.flow import Itinerary
from splitbed.node.stations.turns import DROPS, NONE, Order, Turns
from splitbed.v1 import nodes_pb2

MOST_IN_FLIGHT, MOST_WAITING = 64, 1024


@dataclass(frozen=True)
class Queues:
    """At most ``in_flight`` are under way from a source; ``most`` wait at a station.

    Where there is no room one is dropped, as ``drop`` says. A part is run by ``workers`` at once,
    each on up to ``batch`` frames, the first of which waits for others ``batch_wait_ms`` at most.
    """

    in_flight: int
    most: int
    drop: str = NONE
    workers: int = 1
    batch: int = 1
    batch_wait_ms: float = 0.0

    def under_way(self, station: flow.Station) -> int:
        """How many frames of one stream a station may have at once, whatever is sent."""
        if station.source or (station.result and not station.part):
            return self.in_flight
        room = self.most + self.workers * self.batch if station.part else MOST_IN_FLIGHT
        return min(room, MOST_IN_FLIGHT)

    def turns(self, station: flow.Station) -> Turns:
        """The turns of frames at a station; what comes to the source has waited before."""
        permits = {"part": self.workers * self.batch}
        bounded = station.part and not station.source
        return Turns(Order(permits, self.most, self.drop) if bounded else Order())


def queues_of(message: nodes_pb2.Assignment, itinerary: Itinerary) -> Queues:
    """Those of an assignment; NodeError for what they cannot be."""
    said, what = message.queues, f"the queues of assignment {message.number}"
    if not 1 <= said.in_flight <= MOST_IN_FLIGHT:
        raise NodeError(f"refused {what}: from 1 to {MOST_IN_FLIGHT} frames are under way")
    if max(said.most, said.workers, said.batch) > MOST_WAITING:
        raise NodeError(f"refused {what}: at most {MOST_WAITING} frames wait, or are run at once")
    if (drop := said.drop or NONE) not in DROPS:
        raise NodeError(f"refused {what}: {said.drop[:20]!r} is none of {', '.join(DROPS)}")
    if not 0 <= said.batch_wait_ms < math.inf:
        raise NodeError(f"refused {what}: nobody waits {said.batch_wait_ms} ms for a batch")
    sequential = [one.gives for one in itinerary if one.gives and codec_named(one.gives).sequential]
    if sequential:
        raise NodeError(
            f"refused {what}: {sequential[0]} codes a frame by those before it, so that none may "
            "be lost; take another codec, or one frame at a time"
        )
    return Queues(
        in_flight=said.in_flight,
        most=said.most,
        drop=drop,
        workers=max(said.workers, 1),
        batch=max(said.batch, 1),
        batch_wait_ms=said.batch_wait_ms,
    )
