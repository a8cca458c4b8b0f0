"""A scenario, run: verification, then the sweep with delivery and profiles, then its tables.

scenario.yaml      what was run                     verification.csv   picture by split
scenario.md        the filled-in template           sweep/             the run folder
tables.md          the tables of the clause, and each as table-*.csv
NAME/              the same of a scenario that belongs to it
"""

import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import yaml

from orchestrator.ask.scenario_file import Scenario, load_scenario
from orchestrator.ask.sweep.config import SweepConfig
from orchestrator.ask.sweep.grid import plan_cells
from orchestrator.checks.verify import Verification, read_csv, to_csv, verify
from orchestrator.federated.run import Outcome as FederatedOutcome
from orchestrator.measure.watcher import Watcher
from orchestrator.offline.infer import check_annotations, infer
from orchestrator.results.judgement.verdict import SweepOutcome, Verdict
from orchestrator.results.reading import Reading, read_folder
from orchestrator.results.records import RunRecord
from orchestrator.results.run_folder import (
    PREDICTIONS,
    SCENARIO_FILE,
    RunFolder,
    check_free,
    runs_folder,
    write_new,
)
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
from splitbed.errors import RunError, UsageError
from splitbed.graphs.splits import resolve
from splitbed.metrics.keypoints import keypoint_precision

TEMPLATE_FILE = "scenario.md"
OF_ONE_MODEL = ("split", "weights", "width", "runtime", "codec")
VERIFICATION_FILE, SWEEP_FOLDER, TABLES_FILE = "verification.csv", "sweep", "tables.md"
REPORT_FILE = "report.html"


def begin(
    name: str, options: Mapping[str, object], annotations: Path | None, out: Path | None
) -> Path:
    """Write what will be run into a new folder: the scenario called `name`, `options` over its own.

    Raises UsageError for a scenario, options or a folder that cannot be.
    """
    scenario = load_scenario(name)
    # what a user says of pictures, links and the UE is meant for all; of splits and codecs, not
    common = {key: value for key, value in options.items() if key not in OF_ONE_MODEL}
    others = [_checked(other, common, None) for other in scenario.also]
    names = {_folder_of(other) for other in scenario.also} - {SWEEP_FOLDER}
    if any(other.also for other in others) or len(names) < len(others):
        raise UsageError(f"the scenario {name}: what it runs `also` has no others, nor equal names")
    merged = _checked(name, options, annotations)
    stem = f"scenario-{merged.clause}-{datetime.now(UTC):%Y%m%d-%H%M%S}-{os.getpid()}"
    folder = out or runs_folder() / stem
    check_free(folder)
    _write(merged, folder)
    for name_, other in zip(scenario.also, others, strict=True):
        _write(other, folder / _folder_of(name_))
    return folder


def _checked(name: str, options: Mapping[str, object], annotations: Path | None) -> Scenario:
    """The scenario with `options` over its own. Raises UsageError for what cannot be run."""
    scenario = load_scenario(name)
    if not scenario.sweep:
        if annotations:
            raise UsageError("--annotations is for scenarios that find key points")
        if scenario.federated:
            return clause_9_3.checked(scenario, options)
        if scenario.increments:
            return increments.checked(scenario, options)
        return models.checked(scenario, options)
    if "coder_name" in options:
        raise UsageError(
            f"--coder is for scenarios that send a whole model, as 10.1: the scenario"
            f" {scenario.clause} splits one; give --codec for what crosses"
        )
    given = {key: str(v) if isinstance(v, Path) else v for key, v in options.items()}
    changed: dict[str, object] = {"sweep": scenario.sweep | given}
    if scenario.quantisation and "input" in given:
        changed |= quantisation.of_other_input(scenario.quantisation, scenario.sweep | given)
    if annotations:
        changed["annotations"] = annotations
    merged = scenario.replaced(**changed)
    config = merged.config()
    with prepared(config) as ready:  # refuse it now, not after the first hundred pictures
        local = ready.local
        plan_cells(config, local.model)
        if merged.verify:
            resolve(local.model.graph, merged.verify.split, local.model.named_splits)
        for one in local.inputs:
            one.check()
        if merged.annotations:
            check_annotations(merged.annotations, local)
        if merged.quantisation:
            quantisation.check(merged.quantisation, config, local)
    return merged


def _folder_of(name: str) -> str:
    return Path(name).name.removesuffix(".yaml")


def _write(merged: Scenario, folder: Path) -> None:
    text = yaml.safe_dump(merged.model_dump(mode="json", exclude_defaults=True), sort_keys=False)
    write_new(folder / SCENARIO_FILE, text)
    write_new(folder / TEMPLATE_FILE, f"{merged.markdown()}\n{_what_was_run(merged)}")


def _what_was_run(scenario: Scenario) -> str:
    """The options, which may be others than those that the texts were written for."""
    asked = scenario.model_dump(
        mode="json",
        include={
            *("verify", "annotations", "sweep", "quantisation", "model_sweep", "increments"),
            "federated",
        },
        exclude_defaults=True,
    )
    return f"## What was run\n\n```yaml\n{yaml.safe_dump(asked, sort_keys=False)}```\n"


def check(folder: Path) -> None:
    """Refuse now what cannot be gone on with; UsageError."""
    _begun(folder)


def in_transit(folder: Path) -> bool:
    """Whether the scenario begun there sends a whole model. Raises UsageError."""
    return bool(_begun(folder).model_sweep)


def in_increments(folder: Path) -> bool:
    """Whether the scenario begun there sends models in increments. Raises UsageError."""
    return bool(_begun(folder).increments)


def is_federated(folder: Path) -> bool:
    """Whether the scenario begun there trains a model. Raises UsageError."""
    return bool(_begun(folder).federated)


def run_federated(folder: Path, told: Told) -> FederatedOutcome:
    """Run that one, or go on with it, and leave its report. Raises SplitbedError."""
    outcome = clause_9_3.run(_begun(folder), folder, told)
    RunFolder(folder).replace(REPORT_FILE, tr_page(folder))
    return outcome


def run_increments(folder: Path, told: Told) -> list[Outcome[IncrementRow]]:
    """Run that one, or go on with it. Raises SplitbedError."""
    return increments.run(_begun(folder), folder, told)


def run_models(folder: Path, told: Told) -> Outcome[ModelRow]:
    """Run that one, or go on with it. Raises SplitbedError."""
    return models.run(_begun(folder), folder, told)


def _begun(folder: Path) -> Scenario:
    if not (folder / SCENARIO_FILE).is_file():
        raise UsageError(f"cannot go on with {folder}: no scenario was begun there")
    return load_scenario(str(folder / SCENARIO_FILE))


def run(folder: Path, progress: Watcher) -> tuple[list[SweepOutcome], int]:
    """Run the scenario that `folder` holds, or go on with it, and those that belong to it.

    What came out of each sweep, and the exit code; one that was stopped is the last.

    Raises SplitbedError for what stops it before the first cell.
    """
    scenario = _begun(folder)
    outcome, code = _run_one(scenario, folder, progress)
    outcomes = [outcome]
    if scenario.quantisation and outcome.stopped is None:
        outcomes.append(quantisation.run(scenario, folder, folder / SWEEP_FOLDER, progress))
        code = code or outcomes[-1].exit_code
    for other in scenario.also:
        if outcomes[-1].stopped is None:
            more, other_code = run(folder / _folder_of(other), progress)
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
