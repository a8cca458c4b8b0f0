"""What comes on a stream, each message found by who waits for it; of those that wait one reads.

    a header comes ──┬─ alone: it lies where its owner finds it, and who reads goes on
                     └─ payload follows: its owner reads, until he has taken it

Owners are known by keys: a frame by its number. Who waits for nobody is as fast as if he had the
stream to himself.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from threading import Condition, Lock
from typing import NamedTuple, TypeVar

from splitbed.errors import NodeError
from splitbed.messages import Received
from splitbed.v1.tensors_pb2 import Header
from splitbed.workers.wanted import LOOK_S, check_wanted

_WITH_PAYLOAD = frozenset({"frame", "padding"})
_NUMBERED = frozenset({"frame", "failure", "dropped", "arrived", "ended"})

_LOST = frozenset({"failure", "dropped"})
_MOST_KEPT, _MOST_REPORT_BYTES = 1024, 64 << 10
_T = TypeVar("_T")


class Key(NamedTuple):
    """Whose a message is: what it is, and of which frame; of a report, to which station."""

    body: str
    frame: int = 0
    assignment: int = 0
    at: int = 0


_ARRIVED = Key("arrived")
NEXT = Key("next")
"""Whatever comes next and is nobody's: at a node that was dialled, what begins there."""


@dataclass(eq=False)
class _Waiting:
    key: Key
    woken: Condition


class Incoming:
    """The messages of ``peer``, for several threads.

    What nobody waits for is an error, and so is the end: each who waits is told NodeError.
    ``arrived`` is told, by assignment and number, of a frame that is whole at the peer.
    """

    def __init__(
        self, peer: str, messages: Iterator[bytes], arrived: Callable[[int, int], None]
    ) -> None:
        self.peer = peer
        self.many = False
        """Whether several threads serve it: of them one will ask for what comes next."""
        self._messages = messages
        self._lock = Lock()
        self._reads = False
        """Whether somebody reads, or has a payload to take."""
        self._found: dict[Key, Received] = {}
        self._expected: dict[Key, None] = {}
        """What will come that nobody waits for yet; of frames that failed, ever: the oldest go."""
        self._waiting: list[_Waiting] = []
        self._ended: Exception | None = None
        self._arrived = arrived

    def find(self, key: Key) -> Received:
        """What is of this key, once it is there.

        Raises StopIteration where the stream ends, and NodeError once nobody waits for it.
        """
        with self._lock:
            while (received := self._found.pop(key, None)) is None:
                if self._ended is not None:
                    raise _again(self._ended)
                if self._reads:
                    self._wait(key)
                elif (received := self._read(key)) is not None:
                    break
            self._expected.pop(key, None)
            if received.header.WhichOneof("body") not in _WITH_PAYLOAD:
                self._reads = self._reads and key is not NEXT
                if not self._reads:
                    self._wake(None)
            return received

    def expect(self, key: Key) -> None:
        """It may come before anybody waits for it."""
        with self._lock:
            self._expect(key)

    def expects(self, key: Key) -> bool:
        """Whether it may still come."""
        with self._lock:
            return key in self._expected

    @property
    def awaited(self) -> bool:
        """Whether what becomes of a frame may still come."""
        with self._lock:
            return any(key.body == "frame" for key in self._expected)

    def end(self, error: Exception) -> None:
        """Nothing more can be read, since what comes next is not known, or not wanted."""
        with self._lock:
            self._end(error)

    def _read(self, key: Key) -> Received | None:
        """One message, without the lock meanwhile; another's goes where that one finds it."""
        self._reads = True
        self._lock.release()
        try:
            received = Received(next(self._messages), self._messages, self._taken)
        except Exception as error:
            self._lock.acquire()
            self._end(error)
            return None
        except BaseException:
            self._lock.acquire()
            self._end(NodeError(f"who read what {self.peer} sent was interrupted"))
            raise
        self._lock.acquire()
        return received if self._is_own(received, key) else None

    def _is_own(self, received: Received, reader: Key) -> bool:
        header = received.header
        body = header.WhichOneof("body") or "nothing"
        key = _key_of(header, body)
        if body in _NUMBERED:  # whatever became of it, it is not on its way any more
            of = getattr(header, body)
            self._arrived(of.assignment, of.frame)
        if body in _LOST:  # who waits for room on the link looks again
            _keep(self._found, _ARRIVED, received)
            self._wake(_ARRIVED)
        if body == "report" and header.ByteSize() > _MOST_REPORT_BYTES:
            self._end(NodeError(f"refused a report of {header.ByteSize()} bytes of {self.peer}"))
            return False
        if body != "arrived" and not self._wanted(key, reader):
            key = NEXT
            if not self._wanted(key, reader):
                self._end(NodeError(_unasked(self.peer, header, reader)))
                return False
        # what comes next is one thing at a time
        self._reads = body in _WITH_PAYLOAD or key is NEXT
        if body == "frame":  # what is to be said of it follows it
            self._expect(Key("report", of.frame, of.assignment, of.at))
        if key == reader:
            return True
        _keep(self._found, key, received)
        self._wake(key)
        return False

    def _wanted(self, key: Key, reader: Key) -> bool:
        return (
            key == reader
            or key in self._expected
            or (key is NEXT and self.many)
            or any(one.key == key for one in self._waiting)
        )

    def _expect(self, key: Key) -> None:
        _keep(self._expected, key, None)

    def _taken(self) -> None:
        """A payload was: somebody else may read on."""
        with self._lock:
            self._reads = False
            self._wake(None)

    def _wait(self, key: Key) -> None:
        waiting = _Waiting(key, Condition(self._lock))
        self._waiting.append(waiting)
        waiting.woken.wait(LOOK_S)
        if waiting in self._waiting:  # nobody counts on it to read
            self._waiting.remove(waiting)
            check_wanted()

    def _wake(self, key: Key | None) -> None:
        """One of those that wait for it; for nothing yet: one who will read."""
        for place, one in enumerate(self._waiting):
            if key is None or one.key == key:
                del self._waiting[place]
                one.woken.notify()
                return

    def _end(self, error: Exception) -> None:
        self._reads = False
        self._ended = self._ended or error
        for one in self._waiting:
            one.woken.notify()
        self._waiting.clear()


def _key_of(header: Header, body: str) -> Key:
    match body:
        case "frame" | "failure" | "dropped" | "ended":
            of = getattr(header, body)
            return Key("frame", of.frame, of.assignment)
        case "report":
            said = header.report
            return Key("report", said.frame, said.assignment, said.at)
        case other:
            return Key(other)


def _keep(kept: dict[Key, _T], key: Key, value: _T) -> None:
    kept[key] = value
    if len(kept) > _MOST_KEPT:
        del kept[next(iter(kept))]


def _again(error: Exception) -> Exception:
    """As it is raised to each who waits: one with its own words, and no other's traceback."""
    return NodeError(str(error)) if isinstance(error, NodeError) else error


def _unasked(peer: str, header: Header, wanted: Key) -> str:
    got = header.WhichOneof("body")
    if got == wanted.body == "frame":
        return f"{peer} sent frame {header.frame.frame}, {wanted.frame} was asked"
    return f"{peer} sent {got}, not {wanted.body}"
