"""A scenario of a model in transit, run: its model sweep, then the tables of its clause.

scenario.yaml, scenario.md   as of every scenario        models/   what the model sweep left
tables.md, table-*.csv       the tables of the clause, and its figure
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path

from orchestrator.ask.scenario_file import Scenario
from orchestrator.results.run_folder import RunFolder, check_free
from orchestrator.scenarios import clause_10_1
from orchestrator.scenarios.repaired import repaired_rates
from orchestrator.scenarios.tables import Table
from orchestrator.testbed.local import local_model
from orchestrator.transit.anchor import AnchorScenario
from orchestrator.transit.asked import ModelSweep, model_sweep
from orchestrator.transit.evaluation import file_of
from orchestrator.transit.run import ModelOutcome, run_model_sweep
from splitbed.errors import UsageError
from splitbed.zoo import ZOO

MODELS_FOLDER, TABLES_FILE = "models", "tables.md"
TAKES = {"input": "data_set_name", "coder_name": "coder_name", "bw": "bw", "weights": "weights"}
"""Option of a scenario -> option of a model sweep."""
WORDS = "1 - WER"
"""How the metric of recognisers begins."""
Told = Callable[[str], None]


def checked(scenario: Scenario, options: Mapping[str, object]) -> Scenario:
    """The scenario with ``options`` over its own. Raises UsageError for what cannot be run."""
    if wrong := [name for name in options if name not in TAKES]:
        raise UsageError(
            f"--{wrong[0].replace('_', '-')} is for scenarios that split a model: the scenario"
            f" {scenario.clause} sends a whole one"
        )
    given = {TAKES[name]: str(v) if isinstance(v, Path) else v for name, v in options.items()}
    merged = scenario.replaced(model_sweep={**_plain(scenario), **given})
    _asked(merged)
    return merged


def run(scenario: Scenario, folder: Path, told: Told) -> ModelOutcome:
    """Run the scenario that ``folder`` holds, and leave its tables there.

    Raises SplitbedError; UsageError where it was begun before, for it does not go on.
    """
    models = folder / MODELS_FOLDER
    check_free(models)
    asked = _asked(scenario, models)
    outcome = run_model_sweep(asked, told)
    if outcome.rows:
        told("computing the tables of the clause")
        _leave(scenario, asked, outcome, folder)
    return outcome


def _plain(scenario: Scenario) -> dict[str, object]:
    return {key.replace("-", "_"): value for key, value in scenario.model_sweep.items()}


def _asked(scenario: Scenario, out: Path | None = None) -> ModelSweep:
    return model_sweep(_plain(scenario) | {"out_dir": out})


def _leave(scenario: Scenario, asked: ModelSweep, outcome: ModelOutcome, folder: Path) -> None:
    found = _tables(asked, outcome, folder)
    files = RunFolder(folder)
    for table in found:
        files.replace(f"table-{table.name}.csv", table.csv())
    heading = f"# {scenario.clause} {scenario.name}: results\n"
    files.replace(TABLES_FILE, "\n".join([heading, *(table.markdown() for table in found)]))


def _tables(asked: ModelSweep, outcome: ModelOutcome, folder: Path) -> list[Table]:
    rows, models = outcome.rows, folder / MODELS_FOLDER
    if asked.config is None or not rows[0].metric_name.startswith(WORDS):
        return [Table("models", "Models in transit", [asdict(row) for row in rows])]
    with local_model(asked.config) as local:
        judged = dict.fromkeys(row.coder_name for row in rows if row.rec_perf is not None)
        anchor = AnchorScenario(local, asked.config).path
        files = {name: file_of(models, asked, name, anchor.suffix) for name in judged}
        repaired = repaired_rates(local, {rows[0].model_name: anchor, **files})
    named = ZOO[asked.model_name].parameters if asked.model_name in ZOO else 0
    clause_10_1.plot(rows, folder / clause_10_1.FIGURE)
    return clause_10_1.tables(rows, named or rows[0].anc_size // 4, repaired)
