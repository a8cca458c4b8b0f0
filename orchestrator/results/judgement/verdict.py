"""What a run amounts to: VALID, or INVALID with the rule that failed.

A row is VALID by the rules of :mod:`orchestrator.results.judgement.validity`, a run when all its
cells are there and are, and the device anchor took the same over every link.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.results.judgement.advice import advice
from orchestrator.results.judgement.raced import raced
from orchestrator.results.judgement.trust import apart
from orchestrator.results.judgement.words import place_words
from orchestrator.results.records import RunRecord
from orchestrator.results.rows import Row
from orchestrator.results.statistics.drift import drift_advice
from splitbed.errors import INTERRUPTED, RunError, SplitbedError


@dataclass(frozen=True)
class Verdict:
    """The judgement of a run, with its reasons and advice as sentences."""

    valid: bool
    reasons: tuple[str, ...]
    advice: tuple[str, ...]

    @property
    def word(self) -> str:
        """VALID or INVALID."""
        return "VALID" if self.valid else "INVALID"


@dataclass(frozen=True)
class SweepOutcome:
    """What a sweep leaves; `stopped` is what ended it before its last cell."""

    folder: Path
    rows: Sequence[Row]
    verdict: Verdict
    stopped: BaseException | None
    every: Sequence[Row] = ()
    """The rows, and those of the cells that a race did not measure."""

    @property
    def exit_code(self) -> int:
        """0 for a VALID run, 1 for an INVALID one, else what the cause of the stop asks for."""
        match self.stopped:
            case SplitbedError() as error:
                return error.exit_code
            case KeyboardInterrupt():
                return INTERRUPTED
        return 0 if self.verdict.valid else RunError.exit_code


def judge_run(table: Sequence[Row], cells_asked: int, stopped: str | None = None) -> Verdict:
    """The verdict on the rows of a run that was to have `cells_asked` cells."""
    reasons = [f"{place_words(row)}: {row.reason}" for row in table if not row.valid]
    reasons += apart(table)
    if stopped:
        reasons.append(stopped)
    if len(table) < cells_asked:
        reasons.append(f"{cells_asked - len(table)} of {cells_asked} cells were not measured")
    return Verdict(not reasons, tuple(reasons), tuple(advice(table)))


def advised(run: RunRecord, table: Sequence[Row]) -> tuple[str, ...]:
    """What its rows advise, and what is to be known of the run as a whole."""
    drifted = drift_advice(run.drift) if run.drift else ()
    unsure = {(one.link, one.ue) for one in run.raced if not one.sure}
    return (*advice(table, unsure), *raced(run, table), *drifted, *run.conditions.warnings)
