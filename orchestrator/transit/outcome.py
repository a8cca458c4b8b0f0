"""What came of a model sweep, of a model in increments, or of a part 1 that grew."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar

Told = Callable[[str], None]
"""Is told in words what goes on."""


class Judged(Protocol):
    """A row that says whether it counts."""

    @property
    def valid(self) -> bool: ...


Row_co = TypeVar("Row_co", bound=Judged, covariant=True)


@dataclass(frozen=True)
class Outcome(Generic[Row_co]):
    """The rows, and the folder with its files; None where nothing was measured."""

    rows: Sequence[Row_co] = ()
    folder: Path | None = None

    @property
    def exit_code(self) -> int:
        """0 where nothing is wrong with any row, and where there is none."""
        return 0 if all(row.valid for row in self.rows) else 1
