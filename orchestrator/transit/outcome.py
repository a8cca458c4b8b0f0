"""What came of a model sweep, or of a model in increments."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from orchestrator.transit.row import ModelRow

Row_co = TypeVar("Row_co", bound=ModelRow, covariant=True)


@dataclass(frozen=True)
class Outcome(Generic[Row_co]):
    """The rows, and the folder with its files; None where nothing was measured."""

    rows: Sequence[Row_co] = ()
    folder: Path | None = None

    @property
    def exit_code(self) -> int:
        """0 where all went well."""
        return 0 if all(row.valid for row in self.rows) else 1
