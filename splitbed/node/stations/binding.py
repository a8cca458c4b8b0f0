"""A node binds the stations of an assignment to parts that it holds, and to codecs, these as new.

message ──> is it one? ──> stations here: a part, what decodes for it, what encodes what it gives
"""

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from splitbed import flow
from splitbed.codecs import codec_named
from splitbed.codecs.coder import Coder
from splitbed.codecs.fitting import digest
from splitbed.codecs.stage import Range, Setting
from splitbed.errors import NodeError, UsageError
from splitbed.flow import Itinerary
from splitbed.node.config import Limits
from splitbed.node.model_info import ModelInfo, model_of
from splitbed.node.parts.held import HeldParts
from splitbed.node.shared.line import Sharing
from splitbed.node.shared.work import Ran, Work, sharing_of
from splitbed.node.stations.assignment import MAX_STATIONS, Assignment, Hop, station_of
from splitbed.node.stations.queues import queues_of
from splitbed.node.stations.station import Station
from splitbed.tensors import TensorInfo, Tensors, zeros
from splitbed.v1 import nodes_pb2
from splitbed.wire import recipe_of

_HOP = re.compile(r"(up|down)link[2-9]?")


def bind(message: nodes_pb2.Assignment, held: HeldParts, limits: Limits, work: Work) -> Assignment:
    """The assignment, bound to parts that are held; NodeError for one that cannot be.

    Parts that several UEs share are run by ``work``.
    """
    model = model_of(message.model, limits.tensor_bytes)
    itinerary = tuple(map(station_of, message.stations[: MAX_STATIONS + 1]))
    _check(itinerary, model, message)
    hops = tuple(
        _hop(place, itinerary, message.hops[place], channels_last=message.channels_last)
        for place in range(len(itinerary) - 1)
    )
    sharing = sharing_of(message.queues, limits) if message.queues.workers else None
    binding = _Binding(
        message.node, itinerary, hops, model, held, limits, work, sharing, not message.whole
    )
    own = {
        place: binding.station(place)
        for place, one in enumerate(itinerary)
        if one.node == message.node
    }
    queues = queues_of(message, itinerary) if message.queues.in_flight else None
    if queues is not None:
        for station in own.values():
            coder = station.takes or station.hands_on
            coming = model.inputs if station.asked.source else model.results
            nbytes = coder.most_bytes if coder else sum(abs(info.nbytes) for info in coming)
            limits.check_under_way(queues.under_way(station.asked), nbytes)
    return Assignment(
        message.number, message.node, itinerary, hops, model, own,
        message.ByteSize(), binding.coded_bytes, binding.digests, binding.together_off,
        queues, {place: queues.turns(one.asked) for place, one in own.items()} if queues else {},
        message.clients, not (message.clients or message.HasField("queues")),
    )  # fmt: skip


def _check(itinerary: Itinerary, model: ModelInfo, message: nodes_pb2.Assignment) -> None:
    """NodeError for stations in which no frame could be."""
    what = f"assignment {message.number}"
    if not 1 <= len(itinerary) <= MAX_STATIONS or len(message.hops) != len(itinerary) - 1:
        raise NodeError(
            f"refused {what}: {len(message.stations)} stations and {len(message.hops)} hops; from "
            f"one to {MAX_STATIONS} stations have a hop between each two"
        )
    if message.node not in (one.node for one in itinerary):
        raise NodeError(f"refused {what}: it has no station on {message.node}")
    if [one.source for one in itinerary] != [True] + [False] * (len(itinerary) - 1):
        raise NodeError(f"refused {what}: the source is the first station, and no other")
    done = 0
    for one in itinerary:
        if one.first != done or one.last < done:
            raise NodeError(
                f"refused {what}: {one.node} is to run the layers {one.first} to {one.last} after "
                f"{done} were run"
            )
        done = one.last
        if one.last > model.layers or (one.result and one.last != model.layers):
            raise NodeError(
                f"refused {what}: {one.node} stops after layer {one.last} of {model.layers}"
            )
    if any(one.outputs and not one.result for one in itinerary):
        raise NodeError(f"refused {what}: a head's outputs become results where it is")
    if not all(one.part <= MAX_STATIONS for one in itinerary):
        raise NodeError(f"refused {what}: a part has a number beyond {MAX_STATIONS}")
    if strange := [hop.name for hop in message.hops if not _HOP.fullmatch(hop.name)]:
        raise NodeError(f"refused {what}: no hop is called {strange[0][:20]!r}")
    for hop in message.hops:
        if not (0 <= hop.rate_mbit < math.inf and 0 <= hop.rtt_ms < math.inf):
            raise NodeError(
                f"refused {what}: no link has a rate of {hop.rate_mbit} Mbit/s and a round trip of "
                f"{hop.rtt_ms} ms"
            )
    if sum(one.result for one in itinerary) > 1:
        raise NodeError(f"refused {what}: results are made once")


def _hop(place: int, itinerary: Itinerary, message: nodes_pb2.Hop, *, channels_last: bool) -> Hop:
    ranges = {
        one.tensor: Range(
            np.array(one.low, np.float32),
            np.array(one.high, np.float32),
            one.axis if one.HasField("axis") else None,
        )
        for one in message.ranges
    }
    try:
        picture = recipe_of(message.picture) if message.HasField("picture") else None
    except UsageError as error:
        raise NodeError(str(error)) from None
    return Hop(
        name=message.name,
        rate_mbit=message.rate_mbit,
        intermediate=itinerary[place + 1].result,
        results=any(one.result for one in itinerary[: place + 1]),
        setting=Setting(
            ranges,
            channels_last,
            picture,
            tables={(one.stage, one.tensor): one.tables for one in message.tables},
        ),
        rtt_ms=message.rtt_ms,
    )


def _digests(hop: Hop) -> Iterator[nodes_pb2.TablesDigest]:
    """What tells its tables from others."""
    for (stage, tensor), table in hop.setting.tables.items():
        yield nodes_pb2.TablesDigest(hop=hop.name, stage=stage, tensor=tensor, sha256=digest(table))


@dataclass
class _Binding:
    """Binds one station after another."""

    node: str
    itinerary: Itinerary
    hops: tuple[Hop, ...]
    model: ModelInfo
    held: HeldParts
    limits: Limits
    work: Work
    sharing: Sharing | None
    overlaps: bool
    """Whether what is encoded may be sent meanwhile."""
    coded_bytes: int = 0
    """What the codecs bound so far keep."""
    digests: list[nodes_pb2.TablesDigest] = field(default_factory=list)
    together_off: float | None = None

    def station(self, place: int) -> Station:
        one, before = self.itinerary[place], self.itinerary[place - 1] if place else None
        alike = before and (before.last, before.gives) == (one.last, one.gives)
        if alike and not one.result and place < len(self.hops):
            # a network that computes nothing does not transcode, either
            return Station(one, self.model, hands_on=self._coder(place))
        return Station(
            one,
            self.model.head(one.outputs),
            run=self._run(one) if one.first < one.last else None,
            share=self._share(one) if one.first < one.last and place else None,
            takes=self._coder(place - 1) if place else None,
            gives=(gives := self._coder(place) if place < len(self.hops) else None),
            overlaps=self.overlaps and gives is not None and gives.in_pieces,
        )

    def _run(self, one: flow.Station) -> "_Run":
        self.held.of(one.span)  # refused now, not at the first frame
        return _Run(self.held, one.span)

    def _share(self, one: flow.Station) -> Callable[[Tensors], Ran] | None:
        """What runs its part by turns with other UEs, and together with their frames."""
        if (sharing := self.sharing) is None:
            return None
        if sharing.most > 1:
            off = self.held.open_batch(one.span, sharing.most, self.limits.tensor_bytes)
            self.together_off = max(off, self.together_off or 0.0)
        ue = next(other.node for other in self.itinerary if other.node != self.node)
        held, span, work = self.held, one.span, self.work
        return lambda tensors: work.run(ue, held.of(span), tensors, sharing)

    def _coder(self, place: int) -> Coder | None:
        """What codes the hop; tried once, and then as new. None where results cross."""
        if (hop := self.hops[place]).results:
            return None
        sender, receiver = self.itinerary[place : place + 2]
        crossing = self._crossing(sender, receiver)
        name = sender.gives
        try:
            codec = codec_named(name)
            if codec.local:
                raise UsageError("its decoder is no match for what comes over a link: rd has it")
            # before any of it is there: many small tensors make many codecs
            tables = hop.setting.tables
            told = sum(map(len, tables.values()))
            least = codec.least_bytes(len(crossing), tables)
            self.limits.check_coded(self.coded_bytes + least + told)
            tried = codec.bind(crossing, hop.setting)
            self.coded_bytes += tried.kept_bytes + told
            self.limits.check_coded(self.coded_bytes)
            self.digests += _digests(hop)
            tried.decode(tried.encode(zeros(crossing)))
            return codec.bind(crossing, hop.setting)
        except UsageError as error:
            raise NodeError(f"{self.node} cannot use {name}: {error}") from None

    def _crossing(self, sender: flow.Station, receiver: flow.Station) -> Sequence[TensorInfo]:
        """What crosses, not encoded, by what this node knows of it."""
        if sender.last == 0:
            return self.model.inputs
        if sender.last == self.model.layers:
            return self.model.outputs
        if sender.node == self.node:
            return self.held.of(sender.span).cut.part.outputs
        return self.held.of(receiver.span).cut.part.inputs


@dataclass(frozen=True)
class _Run:
    """Runs a part as long as it is held; NodeError from then on."""

    held: HeldParts
    span: flow.Span

    def __call__(self, tensors: Tensors) -> Tensors:
        return self.held.of(self.span).run(tensors)
