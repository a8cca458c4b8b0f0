"""The seam: whatever hands orders to machines and brings back what each answers."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.fleet.order import Answer, Order

OURS = "splitbed"
"""The resource that a machine has one of, as one group at a time is measured there."""


@dataclass(frozen=True)
class Came:
    """What came of an order: an answer, with the archive of a run where it measured; or nothing.

    ``lost`` says why there is no answer.
    """

    order: Order
    answer: Answer | None = None
    archive: bytes = b""
    lost: str = ""


class Fleet(ABC):
    """Machines that each have Splitbed, and take one order at a time."""

    words: str
    """Which they are, as people are told."""

    @abstractmethod
    def open(self, spool: Path) -> None:
        """Reach the machines; MachineError.

        What has to lie where all of them see it may lie in the folder `spool`.
        """

    @abstractmethod
    def offer(self, files: Mapping[str, Path]) -> None:
        """Have files ready for machines that lack them, by their sha256."""

    @abstractmethod
    def looked_at(self, order: Order) -> Sequence[Answer]:
        """What each machine that is there now answers an order that measures nothing.

        None where machines are known only once they work.
        """

    @abstractmethod
    def send(self, order: Order, avoiding: Collection[str] = (), near: str = "") -> None:
        """Have a machine answer it, none of those to avoid, as soon as one is free.

        One that it was `near` before, if that is there.
        """

    @abstractmethod
    def next(self, timeout_s: float) -> Came | None:
        """What came of one of the orders that were sent; None where none ended in time."""

    @abstractmethod
    def any_left(self, avoiding: Collection[str]) -> bool:
        """Whether there is a machine that is not to be avoided."""

    @property
    def gone(self) -> str:
        """Why none of its machines can be reached for now; nothing where they can."""
        return ""

    @abstractmethod
    def close(self) -> None:
        """End what still works, and let go of all that was opened."""
