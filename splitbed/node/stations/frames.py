"""The frames that go through a node: what was done with each so far, on this node and before it.

came in, or began here ──> its station ──> is sent on, or a record
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from functools import cache, partial
from threading import Lock
from time import monotonic, monotonic_ns, sleep

from splitbed.errors import FrameDropped, NodeError
from splitbed.messages import Received
from splitbed.node.config import Limits
from splitbed.node.parts.held import HeldParts
from splitbed.node.stations.assignment import MAX_STATIONS, Assignment, Hop, bind
from splitbed.node.stations.references import References
from splitbed.node.stations.source import MAX_INPUTS, Source
from splitbed.node.stations.station import ANY_THREADS, Slowed, at_full_speed
from splitbed.node.stations.turns import Place
from splitbed.node.stations.work import Work
from splitbed.node.stream import Stream
from splitbed.node.streams.incoming import Key
from splitbed.node.streams.window import LEAST_BYTES
from splitbed.telemetry import tell_bytes, tell_stages
from splitbed.tensors import Tensors
from splitbed.timeline import WAIT, Timeline
from splitbed.v1 import nodes_pb2
from splitbed.v1.tensors_pb2 import Arrived, FrameHeader, Header, Report, Stage
from splitbed.wire import nbytes, whole_tensors
from splitbed.workers.wanted import held_in_turn, sleep_until

_MOST_STAGES = 8 * MAX_STATIONS
_ARRIVES_S = 0.002
"""Nodes may share their processors: who gets a frame has them to himself until it is there."""


NUMBERS = 1 << 63
"""Of frames, from 0 on."""


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
    difference: Callable[[], float] | None = None
    """Finds how far its outputs are from the whole model's, off the clock; where they came to be
    on this node, and are known."""

    @property
    def hop(self) -> Hop | None:
        """Where it goes on; None where the result is wanted here."""
        hops = self.assignment.hops
        return hops[self.at] if self.at < len(hops) else None

    def on_way(self, assignment: Assignment) -> "Frame":
        """The same frame, once what they have in common is done, on the way of another one."""
        told = partial(Report, stages=self.stages)
        return replace(self, assignment=assignment, crossed=None, told=told, timeline=Timeline())

    def step(self, name: str) -> AbstractContextManager[None]:
        """Be at a step of its station inside, in its turn."""
        if self.place is None:
            return nullcontext()
        return self.assignment.turns[self.at].step(self.place, name, self.timeline)

    def leave(self) -> None:
        """It is at its station no more."""
        if self.place is not None:
            self.assignment.turns[self.at].leave(self.place)

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
        return stages

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
        )


@dataclass
class Frames:
    """What this node is assigned, and does with the frames that it gets.

    Every method raises NodeError for a frame that cannot be.
    """

    held: HeldParts
    source: Source
    references: References
    limits: Limits
    slowed: Slowed = at_full_speed
    shared: Work = field(default_factory=Work)
    _assigned: dict[int, Assignment] = field(default_factory=dict)
    _last: dict[tuple[int, int], int] = field(default_factory=dict)
    """The frame that was last at a station, by assignment and place."""
    _lock: Lock = field(default_factory=Lock)
    _binding: Lock = field(default_factory=Lock)
    """Codecs are made for one assignment at a time."""

    def assign(self, message: nodes_pb2.Assignment) -> Assignment:
        """Take an assignment; of the others only those to be kept hold on."""
        with held_in_turn(self._binding):
            assignment = bind(message, self.held, self.limits, self.shared)
        with self._lock:
            keep = {*message.keep} & self._assigned.keys() - {assignment.number}
            kept = {number: self._assigned[number] for number in keep}
            told_bytes = sum(one.told_bytes for one in kept.values()) + assignment.told_bytes
            self.limits.check_assigned(len(kept) + 1, told_bytes)
            self.limits.check_coded(sum(one.coded_bytes for one in (assignment, *kept.values())))
            self._assigned = kept | {assignment.number: assignment}
            self._last = {key: frame for key, frame in self._last.items() if key[0] in kept}
        return assignment

    def forget(self) -> None:
        """Forget assignments, inputs and references."""
        self.give_up()
        with self._lock:
            self._assigned = {}
        self.source.clear()
        self.references.clear()

    def give_up(self, *assignments: int, begun_here: bool = False) -> None:
        """Frames that are at stations here go no further.

        Or those alone of some assignments, or that began here.
        """
        for one in [*self._assigned.values()]:
            meant = not assignments or one.number in assignments
            for at, turns in one.turns.items():
                if meant and (not begun_here or one.sender is None):
                    turns.give_up(f"what was under way at station {at} was given up")

    def nodes(self, *assignments: int) -> set[str]:
        """Those that frames of these assignments come to."""
        found = (self._assigned.get(number) for number in assignments)
        return {one.node for assignment in found if assignment for one in assignment.itinerary}

    def waiting(self, number: int, at: int) -> list[str]:
        """The nodes that a frame at that place of an assignment has yet to come to."""
        assignment = self._assigned.get(number)
        stations = assignment.itinerary[at + 1 :] if assignment else ()
        return [*dict.fromkeys(one.node for one in stations)]

    def begin(self, request: nodes_pb2.FrameRequest) -> Frame:
        """A frame whose source is here, behind all that have begun."""
        assignment = self.assignment(request.assignment)
        station = assignment.station(0)
        numbers = (request.assignment, *request.others)
        own = [self.assignment(number) for number in numbers]
        for one in own:
            if one.station(0).asked != station.asked:
                raise NodeError(
                    f"refused frame {request.frame}: assignments {assignment.number} and "
                    f"{one.number} do not begin with the same work"
                )
        with self._lock:
            frame = request.frame or self._next(*own)
            for one in own:
                self._take_turn(one, 0, frame)
            place = self._come(assignment, 0, frame)
        return Frame(assignment, frame, request.input, 0, {}, place=place)

    @property
    def served(self) -> Assignment | None:
        """The assignment that came last, where it is for clients, whose frames begin and end here.

        None else: they have no part in what is measured.
        """
        last = next(reversed([*self._assigned.values()]), None)
        if last is None or not last.clients or {0, len(last.itinerary) - 1} - last.own.keys():
            return None
        return last

    def given(self, assignment: Assignment, tensors: Tensors) -> Frame:
        """A frame that begins here, of tensors that a client sent: the next of its assignment."""
        with self._lock:
            if self.served is not assignment:
                raise NodeError("refused a client's frame: the split is there for clients no more")
            self._take_turn(assignment, 0, number := self._next(assignment))
            place = self._come(assignment, 0, number)
        return Frame(assignment, number, MAX_INPUTS, 0, tensors, place=place)  # of no input

    def came(self, received: Received, told: Callable[[], Report]) -> Frame:
        """A frame that came from the station before; ``told`` reads that one's report.

        Raises FrameDropped for one that there was no room for, once it has been taken.
        """
        header = received.header.frame
        assignment, at = self.assignment(header.assignment), header.at
        assignment.before(at)
        station = assignment.station(at)
        infos, most_bytes = assignment.expected(at)
        place, dropped = None, None
        self._check_turn(assignment, at, header.frame)
        try:
            place = self._come(assignment, at, header.frame)
        except FrameDropped as error:
            dropped = error
        if (queues := assignment.queues) is not None:  # together they are as one
            under_way = queues.under_way(station.asked)
            most_bytes = min(most_bytes, self.limits.tensor_bytes // under_way)
        try:
            came = received.tensors(infos, min(most_bytes, self.limits.tensor_bytes))
        except BaseException:
            if place is not None:
                assignment.turns[at].leave(place)
            raise
        self._last[assignment.number, at] = header.frame  # of one that broke off it is not the last
        if dropped is not None:
            raise dropped
        crossed = Stage(
            name=assignment.hops[at - 1].name,
            node=assignment.itinerary[at - 1].node,
            bytes=nbytes(came),
            tensors=len(came),
        )
        coder = station.takes or station.hands_on
        crossed.plain_bytes = coder.plain_bytes if coder else crossed.bytes
        said = _Once(told)
        frame = Frame(assignment, header.frame, header.input, at, came, crossed, said, place=place)
        crossed.end_ns = monotonic_ns()  # as the next stage begins
        return frame

    def work(self, frame: Frame) -> None:
        """Do with it what is to be done at its station."""
        station = frame.assignment.station(frame.at)
        timeline, slowed = frame.timeline, self.slowed
        if station.asked.source and not frame.tensors:
            # slowed, too: what a quota stalls here would else be a debt of the stage that counts
            # first
            with frame.step("preprocess"), timeline.stage("preprocess"), slowed(ANY_THREADS):
                frame.tensors = self.source.tensors(frame.input)
        if station.takes is not None:
            with frame.step("decode"):
                frame.tensors = station.decode(frame.tensors, timeline, slowed)
        if station.asked.part:
            with frame.step("part"):
                frame.tensors = station.part(frame.tensors, timeline, slowed)
        if station.asked.result:
            outputs = frame.tensors
            with frame.step("result"):
                frame.tensors = station.result(outputs, timeline, slowed)
            self._compare(frame, outputs)
        if station.gives is not None:
            with frame.step("encode"):
                frame.tensors = station.encode(frame.tensors, timeline, slowed)

    def _compare(self, frame: Frame, outputs: Tensors) -> None:
        if frame.input in self.references:
            names = [info.name for info in frame.assignment.station(frame.at).model.outputs]
            # once: a frame that goes several ways says it on each
            frame.difference = cache(
                partial(self.references.difference, frame.input, outputs, names)
            )

    def send(self, frame: Frame, stream: Stream, *, awaited: bool = False) -> None:
        """Send it on, then, off the clock, what is to be said of it.

        Nothing of it is sent where this raises that it goes no further. It is ``awaited`` back on
        that stream.
        """
        if frame.place is not None:
            frame.told()  # refused now, and alone, if it is
        with frame.step("send"):
            self._await_room(frame, stream)
            if awaited:
                stream.incoming.expect(frame.key)
            self.send_data(frame, stream)
            if frame.comes_back:  # nothing is computed for it
                self.report(frame, stream)
        frame.leave()
        if not frame.comes_back:
            self.report(frame, stream)

    def send_data(self, frame: Frame, stream: Stream) -> None:
        """Send it on alone; a report must follow."""
        assert frame.hop is not None
        sent_ns = monotonic_ns()
        stream.rate_mbit = frame.hop.rate_mbit or None
        stream.send(frame.header(), frame.tensors)
        frame.timeline.add(frame.hop.name, sent_ns, monotonic_ns())

    def report(self, frame: Frame, stream: Stream) -> None:
        """Say what was done with it so far, and how far its outputs are off."""
        if not frame.comes_back and frame.place is None:
            sleep(_ARRIVES_S)
        report = Report(
            stages=frame.stages,
            max_abs_diff=frame.max_abs_diff,
            frame=frame.number,
            assignment=frame.assignment.number,
            at=frame.at + 1,
        )
        stream.send(Header(report=report))

    def _await_room(self, frame: Frame, stream: Stream) -> None:
        """Until the link can take it, where several are under way; a wait like any other."""
        size = nbytes(frame.tensors)
        if frame.hop is None or not _counted(frame.assignment, frame.at, size):
            return
        since_ns, key = monotonic_ns(), (frame.assignment.number, frame.number)
        if waits := (early_s := stream.window.early_s(monotonic())) > 0:
            sleep_until(monotonic() + early_s)
        rate_mbit, rtt_ms = frame.hop.rate_mbit, frame.hop.rtt_ms
        while not stream.window.enter(key, size, rate_mbit, rtt_ms, monotonic()):
            waits = True
            stream.find(Key("arrived"))
        if waits:
            frame.timeline.add(WAIT, since_ns, monotonic_ns())

    def arrived(self, frame: Frame, stream: Stream) -> None:
        """Say that it is here whole, where its sender counts what is on its way."""
        size = frame.crossed.bytes if frame.crossed else 0
        if _counted(frame.assignment, frame.at - 1, size):
            number = frame.assignment.number
            stream.send(Header(arrived=Arrived(frame=frame.number, assignment=number)))

    def tell(self, frame: Frame) -> None:
        """Count what was done with it here, once it is on its way: sending needs the turn."""
        tell_stages(frame.timeline)
        if (crossed := frame.crossed) is not None:
            gives = frame.assignment.itinerary[frame.at - 1].gives
            tell_bytes(crossed.name, gives, crossed.bytes)
        if frame.hop is not None:
            gives = frame.assignment.itinerary[frame.at].gives
            tell_bytes(frame.hop.name, gives, nbytes(frame.tensors))

    def assignment(self, number: int) -> Assignment:
        """The assignment of this number."""
        if (found := self._assigned.get(number)) is None:
            held = ", ".join(map(str, self._assigned))
            raise NodeError(f"no assignment {number} holds here, only {held or 'none'}")
        return found

    def _next(self, *own: Assignment) -> int:
        """A number after those of all frames that have begun."""
        return 1 + max(self._last.get((one.number, 0), 0) for one in own)

    def _take_turn(self, assignment: Assignment, at: int, frame: int) -> None:
        self._check_turn(assignment, at, frame)
        self._last[assignment.number, at] = frame

    def _check_turn(self, assignment: Assignment, at: int, frame: int) -> None:
        """Frames come to a station in order, each once."""
        if frame >= NUMBERS:
            raise NodeError(
                f"refused frame {frame} of assignment {assignment.number}: numbers end at "
                f"{NUMBERS - 1}; assign it anew"
            )
        if frame <= (last := self._last.get((assignment.number, at), -1)):
            raise NodeError(
                f"refused frame {frame} of assignment {assignment.number}: "
                f"frame {last} was here before"
            )

    def _come(self, assignment: Assignment, at: int, frame: int) -> Place | None:
        turns = assignment.turns.get(at)
        return turns.come(frame, assignment.node) if turns else None


def _counted(assignment: Assignment, at: int, size: int) -> bool:
    """Whether a frame of such a size is counted on its way from that station."""
    queues, rate_mbit = assignment.queues, assignment.hops[at].rate_mbit
    return queues is not None and queues.in_flight > 1 and rate_mbit > 0 and size >= LEAST_BYTES


class _Once:
    """A report, which is read when it is asked for first; so is what is wrong with it."""

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
            if not 0 < (count := len(report.stages)) <= _MOST_STAGES:
                raise NodeError(f"refused the report of a frame that went through {count} stages")
        except NodeError as error:
            self._wrong = str(error)
            raise
        return report
