"""A scenario, run: verification, then the sweep with delivery and profiles, then its tables.

scenario.yaml      what was run                     verification.csv   picture by split
scenario.md        the filled-in template           sweep/             the run folder
tables.md          the tables of the clause, and each as table-*.csv
NAME/              the same of a scenario that belongs to it
"""

from collections.abc import Sequence
from pathlib import Path

from orchestrator.ask.scenario_file import Scenario
from orchestrator.ask.sweep.config import SweepConfig
from orchestrator.checks.verify import Verification, read_csv, to_csv, verify
from orchestrator.federated.run import Outcome as FederatedOutcome
from orchestrator.measure.watcher import Watcher
from orchestrator.offline.infer import infer
from orchestrator.results.judgement.verdict import SweepOutcome, Verdict
from orchestrator.results.reading import SWEEP_FOLDER, Reading, read_folder
from orchestrator.results.records import RunRecord
from orchestrator.results.run_folder import PREDICTIONS, RunFolder
from orchestrator.scenarios.begun import begun, folder_of
from orchestrator.scenarios.clause_10_3 import detection_tables
from orchestrator.scenarios.clause_10_5 import call_tables, is_call, quality_table
from orchestrator.scenarios.federated import clause_9_3
from orchestrator.scenarios.quantisation import run as quantisation
from orchestrator.scenarios.swept import swept
from orchestrator.scenarios.tables import (
    Table,
    measured_table,
    model_table,
    profile_tables,
    verification_table,
)
from orchestrator.scenarios.tr import tr_page
from orchestrator.scenarios.transit import increments, models
from orchestrator.testbed.local import LocalModel
from orchestrator.testbed.site import prepared
from orchestrator.transit.increments.row import IncrementRow
from orchestrator.transit.outcome import Outcome, Told
from orchestrator.transit.row import ModelRow
from splitbed.command import say
from splitbed.errors import RunError
from splitbed.metrics.keypoints import keypoint_precision

VERIFICATION_FILE, TABLES_FILE = "verification.csv", "tables.md"
REPORT_FILE = "report.html"


def run_federated(folder: Path, told: Told) -> FederatedOutcome:
    """Run what was begun there, or go on with it, and leave its report. Raises SplitbedError."""
    outcome = clause_9_3.run(begun(folder), folder, told)
    RunFolder(folder).replace(REPORT_FILE, tr_page(folder))
    return outcome


def run_increments(folder: Path, told: Told) -> list[Outcome[IncrementRow]]:
    """Run what was begun there, or go on with it. Raises SplitbedError."""
    return increments.run(begun(folder), folder, told)


def run_models(folder: Path, told: Told) -> Outcome[ModelRow]:
    """Run what was begun there, or go on with it. Raises SplitbedError."""
    return models.run(begun(folder), folder, told)


def run(folder: Path, progress: Watcher) -> tuple[list[SweepOutcome], int]:
    """Run the scenario that `folder` holds, or go on with it, and those that belong to it.

    What came out of each sweep, and the exit code; one that was stopped is the last.

    Raises SplitbedError for what stops it before the first cell.
    """
    scenario = begun(folder)
    outcome, code = _run_one(scenario, folder, progress)
    outcomes = [outcome]
    if scenario.quantisation and outcome.stopped is None:
        outcomes.append(quantisation.run(scenario, folder, folder / SWEEP_FOLDER, progress))
        code = code or outcomes[-1].exit_code
    for other in scenario.also:
        if outcomes[-1].stopped is None:
            more, other_code = run(folder / folder_of(other), progress)
            outcomes, code = outcomes + more, code or other_code
    return outcomes, code


def _run_one(scenario: Scenario, folder: Path, progress: Watcher) -> tuple[SweepOutcome, int]:
    config = scenario.config()
    with prepared(config) as ready:
        checks = _verify(scenario, config, ready.local, folder)
        outcome = swept(config, ready, folder / SWEEP_FOLDER, progress)
        if outcome.rows:
            progress.note("computing the tables of the clause")
            outcome = outcome.then(
                "tables of the clause",
                lambda: _leave_tables(scenario, config, ready.local, folder, outcome, checks),
            )
    failed = any(check.verdict != "PASSED" for check in checks)
    return outcome, outcome.exit_code or (RunError.exit_code if failed else 0)


def _verify(
    scenario: Scenario, config: SweepConfig, local: LocalModel, folder: Path
) -> list[Verification]:
    file = folder / VERIFICATION_FILE
    if scenario.verify is None:
        return []
    if not file.exists():
        asked = config.replaced(split=scenario.verify.split)
        checks: list[Verification] = []
        for check in verify(asked, local):
            checks.append(check)
            if check.verdict != "PASSED":
                say(f"FAILED: {check.split} {check.picture}", stderr=True)
        passed = sum(check.verdict == "PASSED" for check in checks)
        say(f"lossless: {passed} of {len(checks)} pictures and splits; {file}", stderr=True)
        RunFolder(folder).replace(VERIFICATION_FILE, to_csv(checks))
    return read_csv(file)


def _leave_tables(
    scenario: Scenario,
    config: SweepConfig,
    local: LocalModel,
    folder: Path,
    outcome: SweepOutcome,
    checks: Sequence[Verification],
) -> None:
    reading, own = read_folder(outcome.folder), RunFolder(outcome.folder)
    found = _tables(scenario, config, local, own, reading, checks)
    _write_tables(scenario, outcome, reading.run, found, folder)


def _tables(
    scenario: Scenario,
    config: SweepConfig,
    local: LocalModel,
    folder: RunFolder,
    reading: Reading,
    checks: Sequence[Verification],
) -> list[Table]:
    task = local.model.task
    found = [model_table(reading.run.model, task, _precision(scenario, local))]
    if checks:
        found.append(verification_table(checks))
    if reading.profile:
        found += profile_tables(reading.profile, config.flow)
    if measured := [row for row in reading.rows if row.e2e_ms is not None]:
        found.append(measured_table(measured))
        if (folder.path / PREDICTIONS).is_dir():
            found += detection_tables(folder, reading, measured)
        if is_call(config.flow, task):
            found += [quality_table(config), *call_tables(measured, config.fps)]
    return found


def _precision(scenario: Scenario, local: LocalModel) -> float | None:
    """Average precision of the whole model, where annotations are given."""
    if scenario.annotations is None:
        return None
    results = {one.name: found for one, found, _ in infer(local, None)}
    inputs = local.model.graph.inputs
    return keypoint_precision(scenario.annotations, results, inputs)["AP"]


def _write_tables(
    scenario: Scenario, outcome: SweepOutcome, run: RunRecord, found: Sequence[Table], folder: Path
) -> None:
    """Write each table and all of them; what an earlier part of the run wrote is written anew."""
    files = RunFolder(folder)
    for table in found:
        files.replace(f"table-{table.name}.csv", table.csv())
    told = _circumstances(outcome.verdict, run)
    heading = f"# {scenario.clause} {scenario.name}: results\n\n{told}"
    files.replace(TABLES_FILE, "\n".join([heading, *(table.markdown() for table in found)]))


def _circumstances(verdict: Verdict, run: RunRecord) -> str:
    """What a table pasted elsewhere must not lose: the verdict, the machine, the weights."""
    facts = run.conditions
    lines = [
        f"{verdict.word}. Started {facts.started}; UE and edge: {facts.ue.cpu}, "
        f"{facts.os}, Python {facts.python}; link shaped by {facts.link_backend}; "
        f"weights: {run.model.weights}; model sha256 {run.model.sha256}.",
        *verdict.reasons,
    ]
    return "\n\n".join(lines) + "\n"
