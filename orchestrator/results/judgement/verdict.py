"""What a run amounts to: VALID, or INVALID with the rule that failed.

A row is VALID by the rules of :mod:`orchestrator.results.judgement.validity`, a run when all its
cells are there and are, and the device anchor took the same over every link.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from orchestrator.results.judgement.advice import advice
from orchestrator.results.judgement.raced import raced
from orchestrator.results.judgement.trust import apart, on_machines, scattered
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


@dataclass(frozen=True, kw_only=True)
class JudgedRun:
    """A run that has its verdict; `stopped` is what ended it before all was measured."""

    folder: Path
    verdict: Verdict
    stopped: BaseException | None
    unfinished: tuple[str, ...] = ()
    """What could not be done with it since it was judged, and why."""

    def then(self, what: str, do: Callable[[], object]) -> Self:
        """Do what a run that is judged can be without; where it fails the outcome says why."""
        try:
            do()
        except (SplitbedError, OSError) as error:
            why = str(error)
        except Exception as error:  # whatever it is, the run is whole and is told
            why = f"{type(error).__name__}: {error}"
        else:
            return self
        return replace(self, unfinished=(*self.unfinished, f"no {what}: {why}"))

    @property
    def exit_code(self) -> int:
        """0 for a VALID run, 1 for an INVALID one, else what the cause of the stop asks for.

        And 1 for one with which something could not be done that follows.
        """
        match self.stopped:
            case SplitbedError() as error:
                return error.exit_code
            case KeyboardInterrupt():
                return INTERRUPTED
        return 0 if self.verdict.valid and not self.unfinished else RunError.exit_code


@dataclass(frozen=True, kw_only=True)
class SweepOutcome(JudgedRun):
    """What a sweep leaves."""

    rows: Sequence[Row]
    every: Sequence[Row] = ()
    """The rows, and those of the cells that a race did not measure."""


def judge_run(table: Sequence[Row], cells_asked: int, stopped: str | None = None) -> Verdict:
    """The verdict on the rows of a run that was to have `cells_asked` cells."""
    reasons = [f"{place_words(row)}: {row.reason}" for row in table if not row.valid]
    reasons += [*apart(table), *scattered(table)]
    if stopped:
        reasons.append(stopped)
    if len(table) < cells_asked:
        reasons.append(f"{cells_asked - len(table)} of {cells_asked} cells were not measured")
    return Verdict(not reasons, tuple(reasons), tuple(advice(table)))


def advised(run: RunRecord, table: Sequence[Row]) -> tuple[str, ...]:
    """What its rows advise, and what is to be known of the run as a whole."""
    drifted = drift_advice(run.drift) if run.drift else ()
    unsure = {(one.link, one.ue) for one in run.raced if not one.sure}
    warned = (*_left_by_providers(table), *run.conditions.warnings)
    placed = on_machines(run.machines, table)
    return (*advice(table, unsure, run.most_inputs), *raced(run, table), *drifted, *placed, *warned)


def _left_by_providers(table: Sequence[Row]) -> list[str]:
    """What providers that were asked for left to their runtimes, and how far that reaches."""
    left = [row for row in table if row.provider_left]
    if not left:
        return []
    most = max(left, key=lambda row: len(row.provider_left or ""))
    return [
        f"in {len(left)} of {len(table)} rows not all ran on the provider that was asked for, such "
        f"as {place_words(most)} ({most.provider_left}): its times are of both together"
    ]
