"""A scenario of models that come in increments, run: one model after another, then the tables.

scenario.yaml, scenario.md   as of every scenario        MODEL/   what was left of each model
tables.md, table-*.csv       the tables of the clause, and its picture
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from orchestrator.ask.scenario_file import Scenario
from orchestrator.results.run_folder import RunFolder, check_free
from orchestrator.scenarios.transit.clause_10_6 import leave
from orchestrator.transit.increments.asked import Incremental, incremental
from orchestrator.transit.increments.row import IncrementRow
from orchestrator.transit.increments.run import INCREMENTS, run_incremental
from orchestrator.transit.outcome import Outcome, Told
from splitbed.errors import UsageError

TAKES = ("input", "bw", "runs")
"""Options of a scenario that are meant for all of its models."""


def checked(scenario: Scenario, options: Mapping[str, object]) -> Scenario:
    """The scenario with ``options`` over its own. Raises UsageError for what cannot be run."""
    if wrong := [name for name in options if name not in TAKES]:
        raise UsageError(
            f"--{wrong[0].replace('_', '-')} is not for the scenario {scenario.clause}, which sends"
            " models in increments: it takes --images, --bw and --runs"
        )
    given = {name: str(v) if isinstance(v, Path) else v for name, v in options.items()}
    merged = scenario.replaced(increments={**scenario.increments, **given})
    asked(merged)
    return merged


def run(scenario: Scenario, folder: Path, told: Told) -> list[Outcome[IncrementRow]]:
    """Run the scenario that ``folder`` holds, or go on with it, and leave its tables there.

    Raises SplitbedError.
    """
    wanted = asked(scenario, folder)
    begun = [one.out if one.out and INCREMENTS.kind.is_in(one.out) else None for one in wanted]
    for one, resumed in zip(wanted, begun, strict=True):
        if one.out and not resumed:
            check_free(one.out)
    go_on = f"orchestrate scenario run {folder} --resume"
    outcomes = [
        run_incremental(one, told, resumed, go_on)
        for one, resumed in zip(wanted, begun, strict=True)
    ]
    rows = [row for outcome in outcomes for row in outcome.rows]
    leave(rows, RunFolder(folder), f"# {scenario.clause} {scenario.name}: results\n")
    return outcomes


def asked(scenario: Scenario, folder: Path | None = None) -> list[Incremental]:
    """What is run of each model. Raises UsageError for values that cannot be."""
    given = {key.replace("-", "_"): value for key, value in scenario.increments.items()}
    models, bits = _listed(given.pop("model", "")), given.pop("bits", None)
    stems = [Path(model).stem for model in models]
    if twice := [model for model, stem in zip(models, stems, strict=True) if stems.count(stem) > 1]:
        raise UsageError(
            f"the models {', '.join(twice)} would be left in one folder, that of their name: name"
            " each once, and files otherwise"
        )
    common = {**given, "progressive": bits}
    return [
        incremental(
            {**common, "model": model, "out": folder / Path(model).stem if folder else None}
        )
        for model in models
    ]


def _listed(value: object) -> Sequence[str]:
    return [str(one) for one in value] if isinstance(value, list | tuple) else str(value).split(",")
