"""The sweep of a scenario: begun in its folder, or gone on with there."""

from pathlib import Path

from orchestrator.ask.sweep.config import SweepConfig
from orchestrator.measure import sweep
from orchestrator.measure.watcher import Watcher
from orchestrator.reports.html import leave_report
from orchestrator.results.judgement.verdict import SweepOutcome
from orchestrator.results.run_folder import RunFolder, check_free
from orchestrator.testbed.site import Prepared


def swept(config: SweepConfig, ready: Prepared, folder: Path, progress: Watcher) -> SweepOutcome:
    """What came out of it; its report lies in the folder. Raises SplitbedError."""
    if RunFolder(folder).exists:  # which refuses other options than it began with
        outcome = sweep.run_prepared(config, ready, progress, folder)
    else:
        check_free(folder)
        outcome = sweep.run_prepared(config.replaced(out=folder), ready, progress)
    return leave_report(outcome)
