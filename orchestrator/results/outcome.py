"""What a sweep leaves: its folder, its rows, its verdict."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.results.rows import Row
from orchestrator.results.verdict import Verdict
from splitbed.errors import INTERRUPTED, RunError, SplitbedError


@dataclass(frozen=True)
class SweepOutcome:
    """What a sweep leaves; `stopped` is what ended it before its last cell."""

    folder: Path
    rows: Sequence[Row]
    verdict: Verdict
    stopped: BaseException | None

    @property
    def exit_code(self) -> int:
        """0 for a VALID run, 1 for an INVALID one, else what the cause of the stop asks for."""
        match self.stopped:
            case SplitbedError() as error:
                return error.exit_code
            case KeyboardInterrupt():
                return INTERRUPTED
        return 0 if self.verdict.valid else RunError.exit_code
