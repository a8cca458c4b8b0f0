"""How a frame is sent on: when there is room for it on the link, then what is to be said of it.

Where it ends elsewhere than it began, and others are under way, who sent it on hears that it has.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor, wait
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from time import monotonic, monotonic_ns, sleep

from splitbed.codecs.coder import Piece
from splitbed.errors import FrameDropped, NodeError, SplitbedError
from splitbed.messages import Received
from splitbed.meters.process import METER
from splitbed.node.stations.assignment import MAX_STATIONS, Assignment
from splitbed.node.stations.frame import Frame
from splitbed.node.stations.neighbours import Neighbours
from splitbed.node.stream import Stream, lost
from splitbed.node.streams.incoming import Key
from splitbed.node.streams.window import LEAST_BYTES
from splitbed.telemetry import tell_bytes, tell_stages
from splitbed.timeline import WAIT
from splitbed.v1.tensors_pb2 import Arrived, Dropped, Ended, Failure, Header, Report
from splitbed.wire import nbytes
from splitbed.workers.wanted import sleep_until

_MOST_WORDS = 2000
_ARRIVES_S = 0.002
"""Nodes may share their processors: who gets a frame has them to himself until it is there."""


def send(frame: Frame, stream: Stream, *, awaited: bool = False) -> None:
    """Send it on, then, off the clock, what is to be said of it.

    Nothing of it is sent where this raises that it goes no further. On that stream it, or that it
    has ended, is ``awaited``.
    """
    if frame.place is not None:
        frame.told()  # refused now, and alone, if it is
    await_links(frame, [(frame.assignment, stream)])
    if awaited:
        stream.incoming.expect(frame.key)
    send_data(frame, stream)
    if frame.comes_back:  # nothing is computed for it
        report(frame, stream)
    frame.leave()
    if not frame.comes_back:
        _sample_once_there(frame)
        report(frame, stream)


def send_data(frame: Frame, stream: Stream) -> None:
    """Send it on alone; a report must follow."""
    assert frame.hop is not None
    sent_ns = frame.timeline.begin()
    stream.rate_mbit = frame.hop.rate_mbit or None
    if (encoding := frame.encoding) is None:
        stream.send(frame.header(), frame.tensors)
    else:
        pieces = _counted_pieces(frame, encoding.given(frame.hop.name, frame.timeline), stream)
        stream.send_pieces(frame.header(), encoding.coder.encoded, pieces)
    frame.timeline.end(frame.hop.name, sent_ns)


def _counted_pieces(frame: Frame, pieces: Iterator[Piece], stream: Stream) -> Iterator[Piece]:
    """The pieces, each counted as on its way once it is sent."""
    assert frame.hop is not None
    key, counted = _key_of(frame, frame.assignment), _counts(frame.assignment, frame.at)
    for piece in pieces:
        if counted:
            stream.window.add(key, piece.data.nbytes, frame.hop.rate_mbit, monotonic())
        yield piece


def report(frame: Frame, stream: Stream) -> None:
    """Say what was done with it so far, and how far its outputs are off."""
    said = Report(
        stages=frame.stages,
        cpu=frame.cpu,
        footprints=frame.footprints,
        max_abs_diff=frame.max_abs_diff,
        frame=frame.number,
        assignment=frame.assignment.number,
        at=frame.at + 1,
    )
    stream.send(Header(report=said))


def _sample_once_there(frame: Frame) -> None:
    """Read what this node's process took for it, off the clock."""
    if frame.place is None:
        sleep(_ARRIVES_S)
    frame.sample()


def await_links(frame: Frame, ways: Sequence[tuple[Assignment, Stream]]) -> None:
    """Until it is its turn to be sent, and the links of its `ways` can take it.

    What is sent while it is encoded is encoded ahead until then. Where it fails, no link awaits it.
    """
    rooms = [_Room(frame, way, stream) for way, stream in ways if _counts(way, frame.at)]
    in_turn = False
    with ExitStack() as unless_taken:
        for room in rooms:
            unless_taken.callback(room.give_back)
        if (encoding := frame.encoding) is not None:
            while not encoding.ended:
                in_turn = in_turn or frame.may("send")
                if in_turn and all(room.taken() for room in rooms):
                    break
                encoding.next()
            encoding.begin_sending()
        if not in_turn:
            frame.enter("send")
        for room in rooms:
            room.await_taken()
        unless_taken.pop_all()


@dataclass
class _Room:
    """What a frame takes of a way's link, where several are under way."""

    frame: Frame
    way: Assignment
    stream: Stream
    _is_taken: bool = False

    def __post_init__(self) -> None:
        # of what is encoded meanwhile, each piece is counted as it is sent
        self._size = 0 if self.frame.encoding else nbytes(self.frame.tensors)
        self._hop = self.way.hops[self.frame.at]
        self._is_taken = not self.frame.encoding and self._size < LEAST_BYTES

    def taken(self) -> bool:
        """Take it if it is there now; whether it is taken."""
        if not self._is_taken and self._early_s <= 0:
            self._is_taken = self._enter()
        return self._is_taken

    def await_taken(self) -> None:
        """Take it once it is there: a wait like any other."""
        if self._is_taken:
            return
        since_ns = monotonic_ns()
        if waits := (early_s := self._early_s) > 0:
            sleep_until(monotonic() + early_s)
        while not self._enter():
            waits = True
            self.stream.find(Key("arrived"))
        if waits:
            self.frame.timeline.add(WAIT, since_ns, monotonic_ns())

    def give_back(self) -> None:
        """It does not go there, if it was to."""
        self.stream.window.arrived(*_key_of(self.frame, self.way))

    @property
    def _early_s(self) -> float:
        return self.stream.window.early_s(monotonic())

    def _enter(self) -> bool:
        key, hop = _key_of(self.frame, self.way), self._hop
        window = self.stream.window
        return window.enter(key, self._size, hop.rate_mbit, hop.rtt_ms, monotonic())


def say_arrived(frame: Frame, stream: Stream) -> None:
    """Say that it is here whole, where its sender counts what is on its way."""
    if not _counts(frame.assignment, frame.at - 1):
        return
    station, size = frame.assignment.station(frame.at), frame.crossed.bytes if frame.crossed else 0
    coder = station.takes or station.hands_on
    in_pieces = coder is not None and coder.in_pieces  # its sender knew no size
    if in_pieces or size >= LEAST_BYTES:
        number = frame.assignment.number
        stream.send(Header(arrived=Arrived(frame=frame.number, assignment=number)))


def say_ended(frame: Frame, stream: Stream) -> None:
    """Say that it has come to its end, here or behind this node."""
    number = frame.assignment.number
    stream.send(Header(ended=Ended(frame=frame.number, assignment=number)))


def hear_end(frame: Frame, stream: Stream) -> None:
    """Until it has ended. Raises FrameDropped where it was dropped, NodeError where it failed."""
    received = stream.find(frame.key)
    if (body := received.header.WhichOneof("body")) == "ended":
        return
    error = lost(stream.peer, received)
    if body == "frame":  # what follows it is nobody's
        stream.torn = True
        stream.incoming.end(error)
    raise error


@dataclass
class FanOut:
    """Sends frames on several ways at once, each to another of the ``neighbours``."""

    neighbours: Neighbours
    _threads: Executor = field(default_factory=lambda: ThreadPoolExecutor(MAX_STATIONS))
    """Of the ways but the first."""

    def send(self, frame: Frame, others: Sequence[Assignment]) -> None:
        """Send it on its way and `others`; then, off the clock, what follows it on each.

        Raises NodeError for ways that come back, or go to the same node, and where it has not ended
        on each that tells.
        """
        ways = [frame.assignment, *others]
        ends = [_end_of(one, frame.at) for one in ways]
        if None in ends or len({*ends}) < len(ends):
            raise NodeError(
                f"refused frame {frame.number}: of several ways each goes to another node, and "
                "none comes back"
            )
        with ExitStack() as stack:
            streams = [stack.enter_context(self.neighbours.towards(one, frame.at)) for one in ways]
            await_links(frame, [*zip(ways, streams, strict=True)])
            going = [*zip([frame, *map(frame.on_way, others)], streams, strict=True)]
            self._send_data(going)
            frame.leave()
            _sample_once_there(frame)  # of all ways, told on the first
            for sent, stream in going:
                report(sent, stream)
                tell(sent)
            if frame.assignment.tells_end:
                _hear_all(going)

    def _send_data(self, ways: Sequence[tuple[Frame, Stream]]) -> None:
        for frame, stream in ways:
            if frame.assignment.tells_end:
                stream.incoming.expect(frame.key)
        first, *others = ways
        going = [self._threads.submit(send_data, *one) for one in others]
        try:
            send_data(*first)
        finally:
            wait(going)  # or it would be sent when others are
        for one in going:
            one.result()


def _end_of(way: Assignment, at: int) -> str | None:
    """The node that frames go on to from that station, never to come back."""
    here = [place for place in way.own if place > at]
    return None if here or at == len(way.hops) else way.itinerary[at + 1].node


def _hear_all(ways: Sequence[tuple[Frame, Stream]]) -> None:
    """Until a frame has ended on each way; the first reason why it did not, once all are known."""
    failed: list[NodeError] = []
    for one in ways:
        try:
            hear_end(*one)
        except NodeError as error:
            failed.append(error)
    if failed:
        raise failed[0]


def say_lost(stream: Stream, received: Received, error: SplitbedError) -> None:
    """Why a frame goes no further, to a node that waits for it; or is gone, too."""
    of = received.header.frame
    if isinstance(error, FrameDropped):
        dropped = Dropped(frame=of.frame, assignment=of.assignment, node=error.node)
        header = Header(dropped=dropped)
    else:
        failure = Failure(frame=of.frame, assignment=of.assignment)
        failure.reason = str(error)[:_MOST_WORDS]
        header = Header(failure=failure)
    with suppress(NodeError):
        stream.send(header)


def tell(frame: Frame) -> None:
    """Count what was done with it here, once it is on its way: sending needs the turn."""
    METER.keep_up()
    tell_stages(frame.timeline)
    if (crossed := frame.crossed) is not None:
        gives = frame.assignment.itinerary[frame.at - 1].gives
        tell_bytes(crossed.name, gives, crossed.bytes)
    if frame.hop is not None:
        gives = frame.assignment.itinerary[frame.at].gives
        tell_bytes(frame.hop.name, gives, frame.sent_bytes)


def _key_of(frame: Frame, way: Assignment) -> tuple[int, int]:
    return way.number, frame.number


def _counts(assignment: Assignment, at: int) -> bool:
    """Whether frames are counted on their way from that station: those of some size."""
    queues, rate_mbit = assignment.queues, assignment.hops[at].rate_mbit
    return queues is not None and queues.in_flight > 1 and rate_mbit > 0
