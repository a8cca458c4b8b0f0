"""The frames that go through a node: the order in which they come, and what is done with each.

came in, or begins here ──> its station ──> is sent on, or a record
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, partial
from threading import Lock
from time import monotonic_ns

from splitbed.errors import FrameDropped, NodeError
from splitbed.messages import Received
from splitbed.node.config import Limits
from splitbed.node.parts.held import HeldParts
from splitbed.node.shared.work import Work
from splitbed.node.source.inputs import MAX_INPUTS, Source
from splitbed.node.stations.assignment import Assignment
from splitbed.node.stations.binding import bind
from splitbed.node.stations.frame import Frame, Told
from splitbed.node.stations.references import References
from splitbed.node.stations.station import ANY_THREADS, Slowed, at_full_speed
from splitbed.node.stations.turns import Place
from splitbed.tensors import Tensors
from splitbed.v1 import nodes_pb2
from splitbed.v1.tensors_pb2 import Report, Stage
from splitbed.wire import nbytes
from splitbed.workers.wanted import held_in_turn

NUMBERS = 1 << 63
"""Of frames, from 0 on."""


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
        timeline = assignment.timeline()
        return Frame(assignment, frame, request.input, 0, {}, timeline=timeline, place=place)

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
        timeline = assignment.timeline()
        timeline.begin()
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
        said = Told(told)
        frame = Frame(
            assignment, header.frame, header.input, at, came, crossed, said, timeline, place
        )
        timeline.spend(crossed.name)
        crossed.end_ns = monotonic_ns()  # as the next stage begins
        return frame

    def work(self, frame: Frame) -> None:
        """Do with it what is to be done at its station, and of what is sent meanwhile the first."""
        station = frame.assignment.station(frame.at)
        timeline, slowed = frame.timeline, self.slowed
        if station.asked.source and not frame.tensors:
            # slowed, too: what a quota stalls here would else be a debt of the stage that counts
            # first
            with frame.step("preprocess"):
                timeline.await_begin()
                with timeline.stage("preprocess"), slowed(ANY_THREADS):
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
        if station.overlaps:
            frame.enter("encode")
            done = partial(frame.done, "encode")
            frame.encoding = station.encoding(frame.tensors, timeline, slowed, done)
        elif station.gives is not None:
            with frame.step("encode"):
                frame.tensors = station.encode(frame.tensors, timeline, slowed)

    def _compare(self, frame: Frame, outputs: Tensors) -> None:
        if frame.input in self.references:
            names = [info.name for info in frame.assignment.station(frame.at).model.outputs]
            # once: a frame that goes several ways says it on each
            frame.difference = cache(
                partial(self.references.difference, frame.input, outputs, names)
            )

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
