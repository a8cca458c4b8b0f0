"""The commands of `orchestrate` for the scenarios of clause 10."""

from pathlib import Path
from typing import Annotated

import typer

from orchestrator.api.options import (
    CodecWords,
    LinkWords,
    ModelWords,
    PaceWords,
    RunWords,
    SplitWords,
)
from orchestrator.api.options.transit import TransitWords
from orchestrator.cli.groups import Asked, grouped
from orchestrator.cli.options import Images, Metrics, Otlp, option
from splitbed.command import Commands, say
from splitbed.errors import INTERRUPTED, LinkError, NodeError

scenarios = Commands("Scenarios of clause 10: show and run them.")
ScenarioName = Annotated[str, typer.Argument(help="Clause, as 10.2, or FILE.yaml.")]


@scenarios.command("show")
def scenario_show(
    name: ScenarioName,
    yaml: Annotated[bool, typer.Option("--yaml", help="The file, to copy and change.")] = False,
) -> None:
    """Print the scenario template of clause 3, filled in."""
    from orchestrator.ask import scenario_file as scenario

    loaded = scenario.load_scenario(name)
    say((scenario.scenario_text(name) if yaml else loaded.markdown()).removesuffix("\n"))


@scenarios.command("run")
@grouped(
    *(SplitWords, CodecWords, LinkWords, PaceWords, ModelWords, RunWords, TransitWords),
    only=(
        *("split", "codec", "input_codec", "output_codec", "coder_name", "bw", "ue_slowdown"),
        *("task", "weights", "width", "runtime", "runs"),
    ),
    coder_name="Of model data, in 10.1, a list. [the scenario's]",
    split="Of the sweep, as for sweep; all are verified. [the scenario's]",
    codec="As for sweep. [the scenario's]",
    input_codec="As for sweep. [the scenario's]",
    output_codec="In the flow call, as for sweep. [the scenario's]",
    bw="Mbit/s, a list. [the scenario's]",
    runs="As for sweep; of whole models, deliveries over each link. [the scenario's]",
)
def scenario_run(
    options: Asked,
    name: ScenarioName,
    images: Images = None,
    annotations: Annotated[Path | None, option("COCO key points as JSON: mAP.", "Input")] = None,
    out: Annotated[Path | None, option("Folder for it all. [runs/scenario-NAME-TIME]")] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="NAME is the folder of a run to go on with.")
    ] = False,
    metrics: Metrics = None,
    otlp: Otlp = None,
) -> None:
    """Verify, deliver, sweep and profile, and leave one folder with the tables of the clause."""
    from orchestrator.cli.watch.watching import watching
    from orchestrator.reports import terminal as report
    from orchestrator.scenarios import begun
    from orchestrator.scenarios import run as scenario_run

    if images:
        options["input"] = images
    if resume:
        folder = _going_on(Path(name), alone=not (options or annotations or out))
    else:
        folder = begun.begin(name, options, annotations, out)
    if begun.is_federated(folder):
        raise typer.Exit(_run_federated(folder))
    if begun.in_transit(folder):
        raise typer.Exit(_run_models(folder))
    if begun.in_increments(folder):
        raise typer.Exit(_run_increments(folder))
    go_on = f"orchestrate scenario run {folder} --resume"
    try:
        with watching(metrics, otlp) as progress:
            outcomes, exit_code = scenario_run.run(folder, progress)
    except KeyboardInterrupt:  # while verifying; a sweep ends by itself, and says so below
        say(f"interrupted; go on with: {go_on}", stderr=True)
        raise typer.Exit(INTERRUPTED) from None
    for outcome in outcomes:
        report.show(outcome, as_json=False, resume=go_on)
    if (tables := folder / scenario_run.TABLES_FILE).exists():
        say(f"Tables of the clause: {tables}")
    raise typer.Exit(exit_code)


def _going_on(folder: Path, *, alone: bool) -> Path:
    """The folder of a run that can go on; UsageError for another, or unless asked `alone`."""
    from orchestrator.scenarios import begun
    from splitbed.errors import UsageError

    if not alone:
        raise UsageError("--resume goes on with the options of that run: give no others")
    begun.check(folder)
    return folder


def _run_models(folder: Path) -> int:
    from orchestrator.cli.show.models import show_models
    from orchestrator.cli.watch.heartbeat import alive
    from orchestrator.scenarios import run as scenario_run

    with alive("measuring models in transit"):
        outcome = scenario_run.run_models(folder, lambda words: say(words, stderr=True))
    show_models(outcome, as_json=False)
    say(f"Tables of the clause: {folder / scenario_run.TABLES_FILE}")
    return outcome.exit_code


def _run_federated(folder: Path) -> int:
    from orchestrator.cli.show.federated import show_targets
    from orchestrator.cli.watch.heartbeat import alive
    from orchestrator.scenarios import run as scenario_run

    go_on = f"go on with: orchestrate scenario run {folder} --resume"
    try:
        with alive("training on UEs") as told:
            outcome = scenario_run.run_federated(folder, told)
    except KeyboardInterrupt:  # by now all of Spark has ended
        say(f"interrupted; {go_on}", stderr=True)
        return INTERRUPTED
    except (NodeError, LinkError):  # as where Spark does not start; what was measured is kept
        say(f"stopped; {go_on}", stderr=True)
        raise
    show_targets(outcome.targets)
    say(f"Tables of the clause: {folder / scenario_run.TABLES_FILE}")
    say(f"Report: {folder / scenario_run.REPORT_FILE}")
    return outcome.exit_code


def _run_increments(folder: Path) -> int:
    from orchestrator.cli.show.models import show_increment_rows
    from orchestrator.cli.watch.heartbeat import alive
    from orchestrator.scenarios import run as scenario_run

    with alive("measuring models in increments"):
        outcomes = scenario_run.run_increments(folder, lambda words: say(words, stderr=True))
    show_increment_rows([row for outcome in outcomes for row in outcome.rows])
    say(f"Tables of the clause: {folder / scenario_run.TABLES_FILE}")
    return max(outcome.exit_code for outcome in outcomes)
