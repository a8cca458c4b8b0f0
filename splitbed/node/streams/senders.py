"""Which stream the frames of an assignment come on: those of one node, as long as it is there."""

from collections.abc import Callable, Collection
from threading import Lock
from typing import Protocol

from splitbed.errors import NodeError


class Sender(Protocol):
    """The end of a stream that a node has dialled."""

    @property
    def peer(self) -> str:
        """In words."""

    @property
    def names(self) -> Collection[str]:
        """None where it showed no certificate."""

    @property
    def is_open(self) -> Callable[[], bool]:
        """Tells whether it is still there."""


class Senders:
    """Refuses frames of an assignment from anybody but the node that they are to come from.

    Where no certificate says who that is, it is whoever sent the first, until he has gone.
    """

    def __init__(self) -> None:
        self._known: dict[int, Sender] = {}
        self._lock = Lock()

    def check(self, assignment: int, name: str, sender: Sender) -> None:
        """NodeError unless frames of this assignment, which come from a node `name`, are his."""
        if sender.names and name not in sender.names:
            raise NodeError(
                f"refused a frame of assignment {assignment} from {sender.peer}, which by its "
                f"certificate is {', '.join(sender.names)}: they come from {name}"
            )
        with self._lock:
            known = self._known.get(assignment, sender)
            # another stream of the same connection is his who opened that
            if known is not sender and known.peer != sender.peer and known.is_open():
                raise NodeError(
                    f"refused a frame of assignment {assignment} from {sender.peer}: they come "
                    f"from {name}, {known.peer}"
                )
            self._known[assignment] = sender

    def gone(self, sender: Sender) -> None:
        """Nothing comes from him any more."""
        with self._lock:
            for number in [number for number, one in self._known.items() if one is sender]:
                del self._known[number]
