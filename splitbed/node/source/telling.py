"""What became of frames, told of some together: each message costs who reads it 0.3 ms."""

from contextlib import suppress
from queue import Empty, Full, Queue
from threading import Event
from typing import Generic, TypeVar

from splitbed.v1 import nodes_pb2

MOST = 256
"""That nobody has taken yet; one more is waited with."""
_TOLD_S, _TOLD_BYTES = 0.5, 1 << 20
"""How often they are told. How many bytes of them together, at least."""
_LOOK_S = 0.1

_Message = TypeVar("_Message", nodes_pb2.Outcome, nodes_pb2.FrameRecord)


class Telling(Generic[_Message]):
    """Messages of several threads, for one that tells them, until it has ``stopped``."""

    def __init__(self) -> None:
        self.stopped = Event()
        self._untold: Queue[_Message] = Queue(MOST)
        self._due = Event()

    def tell(self, message: _Message, left: int = MOST) -> bool:
        """Whether it will be told; at once where there are many, or all of those ``left``."""
        told = False
        while not told and not self.stopped.is_set():
            with suppress(Full):
                self._untold.put(message, timeout=_LOOK_S)
                told = True
        if self._untold.qsize() >= min(MOST // 2, left):
            self._due.set()
        return told

    def told(self) -> list[_Message]:
        """Those that there are, as many as are told together; none where none came for a while."""
        self._due.wait(_TOLD_S)
        self._due.clear()
        told, nbytes = list[_Message](), 0
        with suppress(Empty):
            while nbytes < _TOLD_BYTES:
                told.append(one := self._untold.get_nowait())
                nbytes += one.ByteSize()
            self._due.set()
        return told
