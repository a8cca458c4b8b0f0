"""A scenario of a model in transit, run: its model sweep, then the tables of its clause.

scenario.yaml, scenario.md   as of every scenario        models/   what the model sweep left
tables.md, table-*.csv       the tables of the clause, and its figure
"""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

from orchestrator.ask.scenario_file import Scenario
from orchestrator.results.run_folder import RunFolder, check_free
from orchestrator.scenarios.tables import Table
from orchestrator.scenarios.transit import clause_10_1
from orchestrator.scenarios.transit.repaired import repaired_rates
from orchestrator.testbed.local import LocalModel, local_model
from orchestrator.transit.anchor import AnchorScenario
from orchestrator.transit.asked import ModelSweep, model_sweep
from orchestrator.transit.evaluation import file_of
from orchestrator.transit.outcome import Outcome, Told
from orchestrator.transit.row import ModelRow
from orchestrator.transit.run import MODELS, run_model_sweep
from splitbed.command import say
from splitbed.errors import UsageError
from splitbed.model_coders import coder_named, lacking
from splitbed.model_coders.published import is_class

MODELS_FOLDER, TABLES_FILE = "models", "tables.md"
TAKES = {"input": "data_set_name"} | {one: one for one in ("coder_name", "bw", "weights", "runs")}
"""Option of a scenario -> option of a model sweep."""


def checked(scenario: Scenario, options: Mapping[str, object]) -> Scenario:
    """The scenario with ``options`` over its own. Raises UsageError for what cannot be run."""
    if wrong := [name for name in options if name not in TAKES]:
        raise UsageError(
            f"--{wrong[0].replace('_', '-')} is for scenarios that split a model: the scenario"
            f" {scenario.clause} sends a whole one"
        )
    given = {TAKES[name]: str(v) if isinstance(v, Path) else v for name, v in options.items()}
    merged = scenario.replaced(model_sweep={**_plain(scenario), **given})
    asked = _asked(merged)
    return merged if "coder_name" in options else _without_what_lacks(merged, asked.coder_name)


def _without_what_lacks(scenario: Scenario, names: Sequence[str]) -> Scenario:
    """The scenario without coders of which this machine lacks a library, which is told."""
    why = {name: "" if is_class(name) else lacking(coder_named(name)) for name in names}
    if not any(why.values()):
        return scenario
    for words in dict.fromkeys(filter(None, why.values())):
        left = [name for name, one in why.items() if one == words]
        say(f"left out: {', '.join(left)}: {words}", stderr=True)
    here = [name for name, words in why.items() if not words]
    return scenario.replaced(model_sweep={**_plain(scenario), "coder_name": here})


def run(scenario: Scenario, folder: Path, told: Told) -> Outcome[ModelRow]:
    """Run the scenario that ``folder`` holds, or go on with it, and leave its tables there.

    Raises SplitbedError.
    """
    models = folder / MODELS_FOLDER
    resumed = models if MODELS.kind.is_in(models) else None
    if resumed is None:
        check_free(models)
    asked = _asked(scenario, models)
    with ExitStack() as stack:
        local = stack.enter_context(local_model(asked.config)) if asked.config else None
        go_on = f"orchestrate scenario run {folder} --resume"
        outcome = run_model_sweep(asked, told, resumed, local, go_on)
        if outcome.rows:
            told("computing the tables of the clause")
            _leave(scenario, asked, outcome.rows, folder, local)
    return outcome


def _plain(scenario: Scenario) -> dict[str, object]:
    return {key.replace("-", "_"): value for key, value in scenario.model_sweep.items()}


def _asked(scenario: Scenario, out: Path | None = None) -> ModelSweep:
    return model_sweep(_plain(scenario) | {"out_dir": out})


def _leave(
    scenario: Scenario,
    asked: ModelSweep,
    rows: Sequence[ModelRow],
    folder: Path,
    local: LocalModel | None,
) -> None:
    found = _tables(asked, rows, folder, local)
    files = RunFolder(folder)
    for table in found:
        files.replace(f"table-{table.name}.csv", table.csv())
    heading = f"# {scenario.clause} {scenario.name}: results\n"
    files.replace(TABLES_FILE, "\n".join([heading, *(table.markdown() for table in found)]))


def _tables(
    asked: ModelSweep, rows: Sequence[ModelRow], folder: Path, local: LocalModel | None
) -> list[Table]:
    if asked.config is None or local is None or not clause_10_1.recognises(rows):
        return [Table("models", "Models in transit", [asdict(row) for row in rows])]
    judged = dict.fromkeys(row.coder_name for row in rows if row.rec_perf is not None)
    anchor = AnchorScenario(local, asked.config).path
    files = {name: file_of(folder / MODELS_FOLDER, asked, name, anchor.suffix) for name in judged}
    repaired = repaired_rates(local, {rows[0].model_name: anchor, **files})
    clause_10_1.plot(rows, folder / clause_10_1.FIGURE)
    return clause_10_1.tables(rows, repaired)
