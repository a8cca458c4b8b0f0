"""Two runs on disk, whatever they are of, held against each other."""

from pathlib import Path

from orchestrator.checks.crosscheck import CrossCheck, crosscheck
from orchestrator.checks.models import crosscheck_models
from orchestrator.checks.tolerances import Tolerances
from orchestrator.results.archive import unpacked
from orchestrator.results.kinds import transit_folder
from orchestrator.results.reading import read_unpacked
from orchestrator.transit.reading import read_transit
from splitbed.errors import UsageError


def crosschecked(a: Path, b: Path, tolerances: Tolerances, clause: str | None = None) -> CrossCheck:
    """Sweeps by the tolerances of a clause, or of their own; or runs of models in transit.

    Each in a folder, or in an archive. Raises UsageError for what is no run, and for one of each.
    """
    with unpacked(a) as one, unpacked(b) as other:
        first, second = transit_folder(one), transit_folder(other)
        if first is None and second is None:
            return crosscheck(read_unpacked(one, a), read_unpacked(other, b), tolerances, clause)
        if first is None or second is None:
            alone = b if first is None else a
            raise UsageError(f"{alone} is a run of models in transit, and the other is none")
        if clause is not None:
            raise UsageError(
                f"--scenario {clause} is for sweeps: models in transit have tolerances alike"
            )
        runs = read_transit(first, str(a)), read_transit(second, str(b))
        return crosscheck_models(*runs, tolerances)
