"""A frame that goes through a node: what was done with it so far, on this node and before it."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial

from splitbed.codecs.releases import MOST_RELEASES
from splitbed.errors import NodeError
from splitbed.meters.process import METER
from splitbed.node.stations.assignment import MAX_STATIONS, Assignment, Hop
from splitbed.node.stations.station import Encoding
from splitbed.node.stations.turns import Place
from splitbed.node.streams.incoming import Key
from splitbed.tensors import Tensors
from splitbed.timeline import Timeline
from splitbed.v1 import nodes_pb2
from splitbed.v1.tensors_pb2 import Footprint, FrameHeader, Header, Report, Stage, StageCpu
from splitbed.wire import nbytes, whole_tensors

_MOST_STAGES = 8 * MAX_STATIONS


@dataclass
class Frame:
    """One input on its way: the station it is at, what it has become, the stages so far.

    ``crossed`` is the hop on which it came, when it began left out; ``told`` finds what its sender
    says of it, off the clock. ``timeline`` has the stages of this node.
    """

    assignment: Assignment
    number: int
    input: int
    at: int
    tensors: Tensors
    crossed: Stage | None = None
    told: Callable[[], Report] = Report
    timeline: Timeline = field(default_factory=Timeline)
    place: Place | None = None
    """Among those at its station, where several may be under way."""
    encoding: Encoding | None = None
    """Of what goes on, where that is sent meanwhile."""
    difference: Callable[[], float] | None = None
    """Finds how far its outputs are from the whole model's, off the clock; where they came to be
    on this node, and are known."""
    samples: list[Footprint] = field(default_factory=list)
    """What this node's process took for it, where frames come one at a time; of several ways what
    the first has."""

    @property
    def hop(self) -> Hop | None:
        """Where it goes on; None where the result is wanted here."""
        hops = self.assignment.hops
        return hops[self.at] if self.at < len(hops) else None

    def on_way(self, assignment: Assignment) -> "Frame":
        """The same frame, once what they have in common is done, on the way of another one."""
        told = partial(Report, stages=self.stages, cpu=self.cpu)
        own = assignment.timeline()
        return replace(
            self, assignment=assignment, crossed=None, told=told, timeline=own, samples=[]
        )

    def sample(self) -> None:
        """Read what this process took, and has, now that it is done here: takes microseconds."""
        footprint = METER.sample()
        footprint.node = self.assignment.node
        if self.timeline.spent is not None:
            self.samples.append(footprint)

    def step(self, name: str) -> AbstractContextManager[None]:
        """Be at a step of its station inside, in its turn."""
        if self.place is None:
            return nullcontext()
        return self.assignment.turns[self.at].step(self.place, name, self.timeline)

    def enter(self, name: str) -> None:
        """Begin a step of its station in its turn, until it is :meth:`done`, or leaves."""
        if self.place is not None:
            self.assignment.turns[self.at].enter(self.place, name, self.timeline)

    def may(self, name: str) -> bool:
        """Begin a step so if it is its turn now, and say whether."""
        return self.place is None or self.assignment.turns[self.at].may(self.place, name)

    def done(self, name: str) -> None:
        """It is at that step no more."""
        if self.place is not None:
            self.assignment.turns[self.at].done(self.place, name)

    def leave(self) -> None:
        """It is at its station no more."""
        if self.place is not None:
            self.assignment.turns[self.at].leave(self.place)

    @property
    def sent_bytes(self) -> int:
        """What went on, encoded, or will."""
        return nbytes(self.tensors) if self.encoding is None else self.encoding.nbytes

    @property
    def key(self) -> Key:
        """Of it, and of why it does not come, on a stream that it comes back on."""
        return Key("frame", self.number, self.assignment.number)

    @property
    def to(self) -> str:
        """The node that it goes on to, where it does."""
        return self.assignment.itinerary[self.at + 1].node

    @property
    def sender(self) -> str:
        """The node that it came from, where it did."""
        return self.assignment.itinerary[self.at - 1].node

    @property
    def comes_back(self) -> bool:
        """Whether a later station is on this node, too."""
        return any(place > self.at for place in self.assignment.own)

    @property
    def before(self) -> list[Stage]:
        """What was done with it on the nodes before, the way here with it."""
        told = self.told().stages
        if self.crossed is None:
            return [*told]
        *stages, sent = told
        self.crossed.start_ns = sent.start_ns
        self.crossed.ClearField("releases")
        self.crossed.releases.extend(sent.releases)
        return [*stages, self.crossed]

    @property
    def stages(self) -> list[Stage]:
        """All that was done with it so far."""
        node = self.assignment.node
        own = self.timeline.stages
        stages = self.before + [
            Stage(name=one.name, start_ns=one.start_ns, end_ns=one.end_ns, node=node) for one in own
        ]
        if together := self.timeline.together:
            part = f"part{self.assignment.itinerary[self.at].part}"
            next(one for one in reversed(stages) if one.name == part).together = together
        sent = self.hop is not None and own and own[-1].name == self.hop.name
        if sent and self.encoding is not None:
            for one in self.encoding.releases:
                stages[-1].releases.add(ns=one.ns, bytes=one.bytes)
        return stages

    @property
    def cpu(self) -> list[StageCpu]:
        """CPU time of all nodes so far, where frames come one at a time."""
        node, own = self.assignment.node, self.timeline.spent or {}
        meanwhile = self.encoding.spent if self.encoding else {}  # once, however many it is sent to
        spent = [*own.items(), *meanwhile.items()]
        return [*self.told().cpu, *(StageCpu(node=node, stage=s, ns=ns) for s, ns in spent)]

    @property
    def footprints(self) -> list[Footprint]:
        """Of all nodes so far, likewise."""
        return [*self.told().footprints, *self.samples]

    @property
    def max_abs_diff(self) -> float | None:
        """How far its outputs are from the whole model's, where that is known."""
        if self.difference is not None:
            return self.difference()
        return self.told().max_abs_diff if self.told().HasField("max_abs_diff") else None

    def header(self) -> Header:
        """What goes before it to the next station."""
        header = FrameHeader(
            frame=self.number,
            input=self.input,
            assignment=self.assignment.number,
            at=self.at + 1,
        )
        return Header(frame=header)

    def record(self) -> nodes_pb2.FrameRecord:
        """All that is to be said of it, where its result is wanted."""
        self.sample()
        data = {hop.name for hop in self.assignment.hops if hop.intermediate}
        stages = self.stages
        crossed = [one for one in stages if one.name in data]
        return nodes_pb2.FrameRecord(
            frame=self.number,
            stages=stages,
            intermediate_tensors=sum(one.tensors for one in crossed),
            intermediate_bytes=sum(one.plain_bytes for one in crossed),
            encoded_bytes=sum(one.bytes for one in crossed),
            result_bytes=nbytes(self.tensors),
            results={
                name: array.shape[0] if array.ndim else 1 for name, array in self.tensors.items()
            },
            result=whole_tensors(self.tensors),
            max_abs_diff=self.max_abs_diff,
            cpu=self.cpu,
            footprints=self.footprints,
        )


class Told:
    """What is said of a frame, read when it is asked for first; so is what is wrong with it."""

    def __init__(self, told: Callable[[], Report]) -> None:
        self._told = told
        self._report: Report | None = None
        self._wrong = ""

    def __call__(self) -> Report:
        if self._wrong:
            raise NodeError(self._wrong)
        if self._report is None:
            self._report = self._read()
        return self._report

    def _read(self) -> Report:
        try:
            report = self._told()
            for count in (len(report.stages), len(report.cpu) or 1, len(report.footprints) or 1):
                if not 0 < count <= _MOST_STAGES:
                    raise NodeError(
                        f"refused the report of a frame that went through {count} stages"
                    )
            if (count := max(len(one.releases) for one in report.stages)) > MOST_RELEASES:
                raise NodeError(
                    f"refused the report of a frame that waited for {count} pieces on a hop: at "
                    f"most {MOST_RELEASES} are told"
                )
        except NodeError as error:
            self._wrong = str(error)
            raise
        return report
