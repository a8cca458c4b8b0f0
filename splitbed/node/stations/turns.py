"""The frames at a station: each at a step or waiting for one, in the order in which they came.

    came ──> preprocess | decode ──> part ──> result ──> encode ──> send ──> gone

A step is for so many at once as it has permits, and is entered in order: frames leave as they came.
Who is gone, wherever he was, lets the others pass.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Condition, Lock
from time import monotonic_ns

from splitbed.errors import FrameDropped, NodeError
from splitbed.timeline import WAIT, Timeline

STEPS = ("preprocess", "decode", "part", "result", "encode", "send")
_PART, _SEND = STEPS.index("part"), STEPS.index("send")
NEWEST, OLDEST, NONE = "newest", "oldest", "none"
DROPS = (NEWEST, OLDEST, NONE)
"""Which frame goes where there is no room; none: it is not taken before there is."""


@dataclass(eq=False)
class Place:
    """Of one frame: the step that it began last, those it is at, and which it waits for.

    It is at two where it is sent while it is encoded.
    """

    number: int
    began: int = -1
    at: set[int] = field(default_factory=set)
    wants: int | None = None
    lost: NodeError | None = None
    """Why it goes no further."""
    woken: Condition | None = None


@dataclass
class Order:
    """What frames at a station may do next; nothing here waits.

    ``most`` may wait beside those that its part takes at once; None: however many.
    """

    permits: Mapping[str, int] = field(default_factory=dict)
    most: int | None = None
    drop: str = NONE
    here: list[Place] = field(default_factory=list)

    def permitted(self, step: int) -> int:
        """How many may be at it at once."""
        return self.permits.get(STEPS[step], 1)

    @property
    def full(self) -> bool:
        """Whether there is no room for another; who only has to be sent takes none."""
        if self.most is None:
            return False
        at_work = sum(_SEND not in (one.wants, one.began) for one in self.here if not one.lost)
        return at_work >= self.most + self.permitted(_PART)

    def victim(self, place: Place) -> Place | None:
        """Who goes for one that comes now, perhaps itself."""
        if not self.full:
            return None
        waiting = (
            one
            for one in self.here
            if one.began < _PART and not one.at and one.wants is not None and not one.lost
        )
        return next(waiting, place) if self.drop == OLDEST else place

    def may(self, place: Place, step: int) -> bool:
        """Whether it may begin a step: those before it have, and one of them is done with it."""
        for one in self.here:
            if one is place:
                break
            if one.lost:
                continue
            if one.began < step:
                return False
        return sum(step in one.at for one in self.here) < self.permitted(step)

    def begin_all(self) -> list[Place]:
        """Those that wait and may begin what they wait for, which they have now."""
        at_it = Counter(step for one in self.here for step in one.at)
        least, begun = len(STEPS), []
        for one in self.here:
            if one.lost:
                continue
            step = one.wants
            if step is not None and step <= least and at_it[step] < self.permitted(step):
                self.begin(one, step)
                at_it[step] += 1
                begun.append(one)
            least = min(least, one.began)
        return begun

    def begin(self, place: Place, step: int) -> None:
        """It is at that step."""
        place.began, place.wants = step, None
        place.at.add(step)


class Turns:
    """Has the threads of frames wait until it is their turn."""

    def __init__(self, order: Order | None = None) -> None:
        self._order = order or Order()
        self._lock = Lock()
        self._room = Condition(self._lock)

    def come(self, number: int, node: str) -> Place:
        """The place of a frame that comes now, behind all others; FrameDropped for one of none.

        Where nothing is dropped, it is waited for room.
        """
        with self._lock:
            if self._order.drop == NONE:
                self._room.wait_for(lambda: not self._order.full)
            place = Place(number)
            if (victim := self._order.victim(place)) is not None:
                dropped = FrameDropped(f"{node} had no room for frame {victim.number}", node)
                if victim is place:
                    raise dropped
                self._lose(victim, dropped)
            self._order.here.append(place)
            return place

    @contextmanager
    def step(self, place: Place, name: str, timeline: Timeline) -> Iterator[None]:
        """Be at a step inside, once it is its turn; what it waits is a stage of its own.

        Raises NodeError where it goes no further, FrameDropped where it made room for another.
        """
        self.enter(place, name, timeline)
        try:
            yield
        finally:
            self.done(place, name)

    def enter(self, place: Place, name: str, timeline: Timeline) -> None:
        """Begin a step, which is to be :meth:`done`, once it is its turn, or raise as that."""
        step = STEPS.index(name)
        with self._lock:
            if place.lost is None and self._order.may(place, step):
                self._order.begin(place, step)
                self._wake()  # who came to it before its turn, and has a permit
                return
            since_ns = monotonic_ns()
            place.wants, place.woken = step, Condition(self._lock)
            if step == _SEND:
                self._room.notify()
            while place.lost is None and place.wants is not None:
                place.woken.wait()
            if place.lost is not None:
                raise place.lost
        timeline.add(WAIT, since_ns, monotonic_ns())

    def may(self, place: Place, name: str) -> bool:
        """Begin a step if it is its turn now, and say whether."""
        step = STEPS.index(name)
        with self._lock:
            if may := place.lost is None and self._order.may(place, step):
                self._order.begin(place, step)
                self._wake()
            return may

    def done(self, place: Place, name: str) -> None:
        """It is at that step no more."""
        with self._lock:
            place.at.discard(STEPS.index(name))
            self._wake()

    def leave(self, place: Place) -> None:
        """It is not here any more, if it was."""
        with self._lock:
            if place in self._order.here:
                self._order.here.remove(place)
                self._wake()

    def give_up(self, reason: str) -> None:
        """All that are here go no further."""
        with self._lock:
            for place in self._order.here:
                self._lose(place, NodeError(reason))
            self._wake()

    def _lose(self, place: Place, error: NodeError) -> None:
        place.lost = place.lost or error
        if place.woken is not None:
            place.woken.notify()

    def _wake(self) -> None:
        """Whoever may go on now."""
        for place in self._order.begin_all():
            assert place.woken is not None
            place.woken.notify()
        if not self._order.full:
            self._room.notify()
