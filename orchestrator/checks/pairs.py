"""Two runs on disk, whatever they are of, held against each other."""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NoReturn

from orchestrator.checks.compare import compare
from orchestrator.checks.comparison import Comparison, TimedChange
from orchestrator.checks.crosscheck import CrossCheck, crosscheck
from orchestrator.checks.models import crosscheck_models
from orchestrator.checks.startups import compare_startups
from orchestrator.checks.tolerances import Tolerances
from orchestrator.results.archive import unpacked
from orchestrator.results.kinds import MODEL_SWEEP, kind_in, transit_folder
from orchestrator.results.reading import Reading, read_unpacked
from orchestrator.transit.reading import TransitReading, read_transit
from splitbed.errors import UsageError


def compared(base: Path, others: Sequence[Path]) -> Sequence[Comparison[TimedChange]]:
    """What became faster or slower from the first run to each of the others: sweeps, or models'.

    Raises UsageError as :func:`crosschecked`, and for what models are in increments, or grow.
    """
    with ExitStack() as stack:
        runs = [(path, stack.enter_context(unpacked(path))) for path in (base, *others)]
        first, *rest = (_read(*run) for run in runs)
        found: list[Comparison[TimedChange]] = []
        for path, one in zip(others, rest, strict=True):
            match first, one:
                case Reading(), Reading():
                    found.append(compare(first, one))
                case TransitReading(), TransitReading():
                    found.append(compare_startups(first, one))
                case _:
                    _refuse_one(base if isinstance(first, TransitReading) else path)
        return found


def _read(path: Path, folder: Path) -> Reading | TransitReading:
    inner = transit_folder(folder)
    if inner is None:
        return read_unpacked(folder, path)
    if (kind := kind_in(inner)) and kind is not MODEL_SWEEP:
        kind.refuse(path)
    return read_transit(inner, str(path))


def _refuse_one(alone: Path) -> NoReturn:
    raise UsageError(f"{alone} is a run of models in transit, and the other is none")


def crosschecked(a: Path, b: Path, tolerances: Tolerances, clause: str | None = None) -> CrossCheck:
    """Sweeps by the tolerances of a clause, or of their own; or runs of models in transit.

    Each in a folder, or in an archive. Raises UsageError for what is no run, and for one of each.
    """
    with unpacked(a) as one, unpacked(b) as other:
        first, second = transit_folder(one), transit_folder(other)
        if first is None and second is None:
            return crosscheck(read_unpacked(one, a), read_unpacked(other, b), tolerances, clause)
        if first is None or second is None:
            _refuse_one(b if first is None else a)
        if clause is not None:
            raise UsageError(
                f"--scenario {clause} is for sweeps: models in transit have tolerances alike"
            )
        runs = read_transit(first, str(a)), read_transit(second, str(b))
        return crosscheck_models(*runs, tolerances)
