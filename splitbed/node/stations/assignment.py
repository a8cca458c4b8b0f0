"""An assignment: the itinerary of frames, as one of its nodes has it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from splitbed import flow
from splitbed.codecs.stage import Setting
from splitbed.errors import NodeError
from splitbed.flow import Itinerary
from splitbed.node.delivery import span_message, span_of
from splitbed.node.model_info import ModelInfo
from splitbed.node.stations.queues import Queues
from splitbed.node.stations.station import Station
from splitbed.node.stations.turns import Turns
from splitbed.tensors import MAX_TENSORS_BYTES, TensorInfo
from splitbed.timeline import Timeline
from splitbed.v1 import nodes_pb2

MAX_STATIONS = 16


@dataclass(frozen=True)
class Hop:
    """From a station to the next: its stage, and the link's rate that way.

    ``results`` says whether it carries results, ``intermediate`` whether it is the last that does
    not: what goes into the result is the frame's intermediate data, or its input.
    """

    name: str
    rate_mbit: float
    intermediate: bool
    results: bool
    setting: Setting
    rtt_ms: float = 0.0


@dataclass(frozen=True)
class Assignment:
    """What is done with frames: the stations, and those of them on this ``node`` by their place.

    It was told in ``told_bytes``; its codecs here keep ``coded_bytes`` from frame to frame, and
    were fitted to tables of these ``digests``. Where it has ``queues`` several frames may be under
    way, by ``turns`` at each station here. Frames of ``clients`` may be on it where it says so.
    """

    number: int
    node: str
    itinerary: Itinerary
    hops: tuple[Hop, ...]
    model: ModelInfo
    own: Mapping[int, Station] = field(repr=False)
    told_bytes: int = 0
    coded_bytes: int = 0
    digests: Sequence[nodes_pb2.TablesDigest] = ()
    together_off: float | None = None
    """How far a part that is run on frames together is off from each alone, where one is."""
    queues: Queues | None = None
    turns: Mapping[int, Turns] = field(default_factory=dict, repr=False)
    clients: bool = False
    alone: bool = True
    """Whether a frame meets no other here, of this UE or of others."""

    def timeline(self) -> Timeline:
        """That of a frame which begins or comes here: with its CPU time, where it is alone."""
        return Timeline(spent={} if self.alone else None)

    def station(self, at: int) -> Station:
        """The station at that place; NodeError unless it is on this node."""
        if at not in self.own:
            raise NodeError(
                f"assignment {self.number} has no station {at} on {self.node}, only "
                f"{', '.join(map(str, self.own))}"
            )
        return self.own[at]

    def before(self, at: int) -> str:
        """The node that frames come from to that station; NodeError where they begin there."""
        if at == 0:
            raise NodeError("refused a frame for the station of the source: it begins there")
        self.station(at)
        return self.itinerary[at - 1].node

    @property
    def sender(self) -> str | None:
        """The node that its frames first come from; None where they begin here."""
        return self.itinerary[at - 1].node if (at := min(self.own)) else None

    @property
    def tells_end(self) -> bool:
        """Whether who sends a frame on is told when it has ended.

        Where several are under way, and the source would not see it.
        """
        return self.queues is not None and self.itinerary[-1].node != self.itinerary[0].node

    def expected(self, at: int) -> tuple[Sequence[TensorInfo], int]:
        """What may come in for the station at that place, and how many bytes of it."""
        station = self.station(at)
        if (coder := station.takes or station.hands_on) is not None:
            return coder.encoded, coder.most_bytes
        return self.model.results, MAX_TENSORS_BYTES


def station_message(station: flow.Station) -> nodes_pb2.Station:
    """A station as it travels."""
    return nodes_pb2.Station(
        node=station.node,
        span=span_message(station.span),
        part=station.part,
        source=station.source,
        result=station.result,
        gives=station.gives,
    )


def station_of(message: nodes_pb2.Station) -> flow.Station:
    """A station that came so."""
    span = span_of(message.span)
    return flow.Station(
        message.node,
        span.first,
        span.last,
        source=message.source,
        result=message.result,
        gives=message.gives,
        part=message.part,
        outputs=span.outputs,
        version=span.version,
    )
