"""How frames go from node to node: begun here, passed on, or waited for.

    work ──┬─ goes several ways ───────────────────────> each of these at once
           ├─ result wanted here ──────────────────────> record
           ├─ next on the node that this one dials ────> send, and wait where it comes back
           └─ next on a node that has dialled this one > send on the stream that it opened

Whoever waits for a frame reads the stream himself. Where an
assignment has queues several threads are at its frames, each at one of them from its beginning to
its end: at the source those that :meth:`Passing.go` is called from, elsewhere a crew.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field

from splitbed.errors import FrameDropped, NodeError, SplitbedError
from splitbed.messages import Received
from splitbed.node.serve import InFlight
from splitbed.node.stations import sending
from splitbed.node.stations.assignment import Assignment
from splitbed.node.stations.crew import Crew
from splitbed.node.stations.frame import Frame
from splitbed.node.stations.frames import Frames
from splitbed.node.stations.neighbours import Neighbours
from splitbed.node.stations.queues import MOST_IN_FLIGHT
from splitbed.node.stream import Stream, lost
from splitbed.node.streams.incoming import Key
from splitbed.tensors import Tensors
from splitbed.v1 import nodes_pb2
from splitbed.workers.wanted import held_in_turn

Take = Callable[[nodes_pb2.FrameRecord], None]
"""Is given the record of a frame; raises NodeError where it cannot be kept."""


@dataclass
class Passing:
    """Takes frames through this node, from and to its ``neighbours``.

    Every method raises NodeError for a frame that fails, here or at a node that is waited for.
    """

    frames: Frames
    in_flight: InFlight
    neighbours: Neighbours = field(default_factory=Neighbours)
    _taken: dict[int, Take] = field(default_factory=dict)
    """Who takes the records of frames that end here, by assignment."""

    def __post_init__(self) -> None:
        self._fan_out = sending.FanOut(self.neighbours)

    def run(self, request: nodes_pb2.FrameRequest) -> nodes_pb2.FrameRecord:
        """A frame that begins here: its record, or its number alone where it ends elsewhere."""
        return self.go(self.enter(request), request.others)

    def infer(self, assignment: Assignment, tensors: Tensors) -> nodes_pb2.FrameRecord:
        """A frame of tensors that a client sent, which begins here and ends here: its record."""
        with self.in_flight.frame():  # before it is taken: none is under way that is not counted
            frame = self.frames.given(assignment, tensors)
            with _at_station(frame):
                self.frames.work(frame)
                return self._follow(frame)

    def enter(self, request: nodes_pb2.FrameRequest) -> Frame:
        """A frame that is to :meth:`go`, at once, behind all that have entered; nothing waits."""
        return self.frames.begin(request)

    def go(self, frame: Frame, others: Sequence[int] = ()) -> nodes_pb2.FrameRecord:
        """What becomes of a frame, which also goes the ways of `others`; from any thread.

        Raises FrameDropped for one that a node had no room for.
        """
        with _at_station(frame), self.in_flight.frame():
            self.frames.work(frame)
            if others:
                self._fan_out.send(frame, [self.frames.assignment(one) for one in others])
            elif frame.hop is not None and (near := self.neighbours.near(frame.to)) is not None:
                self._send(frame, near)
            else:
                return self._follow(frame)
            return nodes_pb2.FrameRecord(frame=frame.number)

    def wait(self, request: nodes_pb2.AwaitRequest) -> nodes_pb2.FrameRecord:
        """A frame that begins elsewhere, from the node that this one dials: its record."""
        assignment = self.frames.assignment(request.assignment)
        if assignment.sender is None:
            raise NodeError(f"frames of assignment {assignment.number} begin here: run one")
        with self.neighbours.dialled(assignment.node, assignment.sender).stream() as stream:
            received = stream.receive_frame(request.frame, request.assignment)
            frame = self._came(received, stream)
        with _at_station(frame), self.in_flight.frame():
            self.frames.work(frame)
            return self._follow(frame)

    def cancel(self, *assignments: int) -> None:
        """Give up what is under way to other nodes, and back from those that this one dials.

        Or that alone of some assignments: the streams to nodes that are not in them stay.
        """
        nodes = self.frames.nodes(*assignments)
        self.neighbours.cancel(nodes)
        self.frames.give_up(*assignments, begun_here=True)
        self.neighbours.let_go(nodes)

    def serve(self, stream: Stream) -> None:
        """Do with each frame on a stream that was opened here what is to be done, until its end."""
        crew = Crew(lambda: self._serve(stream, crew), MOST_IN_FLIGHT)
        try:
            crew.run()
        finally:
            self.neighbours.gone(stream)

    def _serve(self, stream: Stream, crew: Crew) -> None:
        """In one thread of a crew; what ends it ends all."""
        try:
            self._serve_on(stream, crew)
        except Exception as error:
            stream.incoming.end(error)
            raise

    def _serve_on(self, stream: Stream, crew: Crew) -> None:
        while (received := crew.awaited(lambda: next(stream, None))) is not None:
            match received.header.WhichOneof("body"):
                case "frame":
                    self._pass(received, stream, crew)
                case "padding":
                    stream.answer_padding(received)
                case "hello":
                    self.neighbours.answer_hello(received.header.hello.node, stream)
                case other:
                    raise NodeError(f"expected the header of a frame, got {other or 'nothing'}")

    def _pass(self, received: Received, stream: Stream, crew: Crew) -> None:
        """Pass on a frame that came on a stream; what fails alone is said alone."""
        header = received.header.frame
        assignment = self.frames.assignment(header.assignment)
        self.neighbours.check_sender(assignment.number, assignment.before(header.at), stream)
        if assignment.queues is None:
            with self.in_flight.frame(), self._told(received, stream):
                self._pass_on(self._came(received, stream), stream)
            return
        stream.incoming.many = True
        try:
            frame = self._came(received, stream)
        except FrameDropped as error:
            crew.relieve()
            sending.say_lost(stream, received, error)
            stream.find(_said(received))
            return
        try:
            with _at_station(frame), self.in_flight.frame():
                crew.relieve()
                self._pass_on(frame, stream)
        except SplitbedError as error:
            sending.say_lost(stream, received, error)

    @contextmanager
    def _told(self, received: Received, stream: Stream) -> Iterator[None]:
        """Tell nodes that wait for this frame when it fails here; who sent it is told as ever."""
        try:
            yield
        except SplitbedError as error:
            header = received.header.frame
            for name in self.frames.waiting(header.assignment, header.at):
                near = self.neighbours.near(name)
                if near is not None and near is not stream:
                    sending.say_lost(near, received, error)
            raise

    def _pass_on(self, frame: Frame, stream: Stream) -> None:
        with _at_station(frame):
            self.frames.work(frame)
            if frame.hop is None:
                self._end(frame)
            elif frame.to == frame.sender:
                self._send(frame, stream)
            elif (near := self.neighbours.near(frame.to)) is not None:
                self._send(frame, near)
            else:
                if (back := self._exchange(frame)) is not None:
                    with _at_station(back):
                        self.frames.work(back)
                        self._send(back, stream)
                sending.tell(frame)
        if frame.assignment.tells_end:
            sending.say_ended(frame, stream)

    def _end(self, frame: Frame) -> None:
        """Hand over the record of a frame that came to its end here."""
        if (take := self._taken.get(frame.assignment.number)) is None:
            raise NodeError(f"frame {frame.number} ends here, where nobody waits for it")
        frame.leave()  # what is to be said of it is off the clock
        take(frame.record())
        sending.tell(frame)

    @contextmanager
    def taking(self, assignment: int, take: Take) -> Iterator[None]:
        """Have records of frames of an assignment that end here taken inside."""
        self._taken[assignment] = take
        try:
            yield
        finally:
            del self._taken[assignment]

    def _send(self, frame: Frame, stream: Stream) -> None:
        """Send it on for good, and, where it ends elsewhere, hear that it did."""
        tells_end = frame.assignment.tells_end
        sending.send(frame, stream, awaited=tells_end)
        sending.tell(frame)
        if tells_end:
            sending.hear_end(frame, stream)

    def _follow(self, frame: Frame) -> nodes_pb2.FrameRecord:
        """What becomes of a frame that was worked on, and of what comes back of it."""
        done = [frame]
        with ExitStack() as stations:
            while frame.hop is not None and (back := self._exchange(frame)) is not None:
                done.append(frame := back)
                stations.enter_context(_at_station(frame))
                self.frames.work(frame)
            record = nodes_pb2.FrameRecord(frame=frame.number) if frame.hop else frame.record()
        for frame in done:
            sending.tell(frame)
        return record

    def _exchange(self, frame: Frame) -> Frame | None:
        """Send a frame to the node that this one dials; what comes back of it, where it does."""
        shared = frame.assignment.queues is not None
        with self.neighbours.dialled(frame.assignment.node, frame.to).stream(
            shared=shared
        ) as stream:
            try:
                tells_end = frame.assignment.tells_end
                sending.send(frame, stream, awaited=frame.comes_back or tells_end)
                if not frame.comes_back:
                    if tells_end:
                        sending.hear_end(frame, stream)
                    return None
                received = stream.find(frame.key)
            except BaseException:  # it may come yet, and nobody would take it
                stream.torn = stream.torn or stream.incoming.expects(frame.key)
                raise
            if received.header.WhichOneof("body") == "frame":
                return self._back(received, stream, frame)
        raise lost(stream.peer, received)

    def _back(self, received: Received, stream: Stream, sent: Frame) -> Frame:
        back = self._came(received, stream)
        if back.assignment is not sent.assignment or back.at <= sent.at:
            back.leave()
            raise NodeError(f"{stream.peer} sent frame {sent.number} back to another station")
        return back

    def _came(self, received: Received, stream: Stream) -> Frame:
        """A frame that came on a stream."""
        said = _said(received)
        try:
            frame = self.frames.came(received, lambda: stream.find(said).header.report)
        except FrameDropped:
            raise
        except BaseException:  # some of it is left, and is nobody's
            stream.torn = True
            raise
        try:
            sending.say_arrived(frame, stream)
        except BaseException:
            frame.leave()
            raise
        return frame


@contextmanager
def _at_station(frame: Frame) -> Iterator[None]:
    """It is at its station no longer than this, and alone where frames have no turns there.

    Where it fails alone, nothing of it is left.
    """
    station = frame.assignment.station(frame.at)
    with held_in_turn(station.turn) if frame.place is None else nullcontext():
        try:
            yield
        except SplitbedError:
            if frame.place is not None:
                frame.leave()
                with suppress(NodeError):
                    frame.told()
            raise
        finally:
            frame.leave()


def _said(received: Received) -> Key:
    """Of what is said of a frame by who sent it."""
    of = received.header.frame
    return Key("report", of.frame, of.assignment, of.at)
