"""The commands of `orchestrate` that measure over a link: sweep and profile."""

from datetime import UTC, datetime
from json import dumps
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.api.options import GROUPS, ModelWords, NodeWords
from orchestrator.cli.groups import Asked, grouped
from orchestrator.cli.options import Json, Metrics, Model, Otlp, option
from orchestrator.cli.watch.heartbeat import alive
from splitbed.command import Commands, say

measure_app = Commands()


@measure_app.command()
@grouped(*GROUPS)
def sweep(
    asked: Asked,
    model: Model = None,
    config: Annotated[Path | None, option("YAML with these options as keys.")] = None,
    resume: Annotated[Path | None, option("Go on with this run folder; takes no other.")] = None,
    remeasure: Annotated[
        str | None, option("With --resume, measure cells that are there again: invalid.")
    ] = None,
    on: Annotated[
        str | None,
        option("Many machines: ray, ray://HOST:PORT, HOST:PORT, CLUSTER.yaml, submitit."),
    ] = None,
    threshold: Annotated[
        list[str] | None, option("Exit 1 when broken: 'e2e_p95<250ms@stage2,bw=20'; repeatable.")
    ] = None,
    metrics: Metrics = None,
    otlp: Otlp = None,
    json: Json = False,
) -> None:
    """Measure every split over every link, both anchors included."""
    from orchestrator.api.sweep import config_or_resumed, remeasured, run_sweep
    from orchestrator.checks.threshold import broken, parse
    from orchestrator.cli.watch.watching import watching
    from orchestrator.reports import terminal as report

    limits = [parse(text) for text in threshold or ()]
    again = remeasured(remeasure, resume)
    wanted = config_or_resumed(model, config, resume, asked)
    for limit in limits:
        limit.check_frames(wanted.least_runs, "a cell of this sweep")
    with watching(metrics, otlp) as progress:
        outcome = run_sweep(wanted, progress, resume, again, on)
    report.show(outcome, as_json=json)
    lines = broken(limits, outcome.every) if limits and outcome.stopped is None else []
    for line in lines:
        say(line, stderr=True)
    raise typer.Exit(outcome.exit_code or bool(lines))


@measure_app.command()
@grouped(ModelWords, NodeWords)
def profile(
    asked: Asked,
    model: Model = None,
    out: Annotated[Path | None, option("CSV, a row per cut. [runs/MODEL-profile-TIME]")] = None,
    json: Json = False,
) -> None:
    """Time the model and each of its layers on both nodes (clause 10.2.7)."""
    from orchestrator.api.asking import config_of
    from orchestrator.api.profile import run_profile
    from orchestrator.cli.show.profile import show_profile
    from orchestrator.results.run_folder import runs_folder
    from splitbed.media.files import check_new, write_new

    check_new(out)
    with alive("profiling the nodes"):
        taken, name, weights = run_profile(config_of(model, asked))
    file = out or runs_folder() / f"{name}-profile-{datetime.now(UTC):%Y%m%d-%H%M%S}.csv"
    write_new(file, taken.csv())
    if json:
        typer.echo(dumps(taken.model_dump(mode="json"), indent=2))
        return
    show_profile(taken)
    say(f"{name}, weights: {weights}. Times of every cut: {file}")
