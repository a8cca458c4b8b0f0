"""The command of `orchestrate` that plans."""

import math
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.options import (
    Input,
    Json,
    Model,
    Runtime,
    Seed,
    Shape_,
    Task,
    Threads,
    Topology,
    Weights,
    Width,
    asked,
    option,
)

plan_app = typer.Typer()


@plan_app.command()
def plan(
    context: typer.Context,
    model: Model = None,
    split: Annotated[str | None, option("As for sweep. [named]")] = None,
    bw: Annotated[
        str, option("Mbit/s: a range FROM:TO or FROM:TO:COUNT, or a list. [1:1000]")
    ] = "1:1000",
    delay: Annotated[str, option("One-way, ms, likewise. [0:50]")] = "0:50",
    ue_slowdown: Annotated[str, option("Times that the UE is slower, likewise. [1]")] = "1",
    codec: Annotated[
        str | None, option("Of intermediate data, a list (orchestrate codecs). [raw]")
    ] = None,
    input_codec: Annotated[str | None, option("Of the network anchor's input. [raw]")] = None,
    calibration: Annotated[
        str | None, option("Frames that codecs are calibrated on, as for --input.")
    ] = None,
    profile: Annotated[
        Path | None,
        option("Of an earlier sweep or plan, its FOLDER; or FILE of profile --json. [taken now]"),
    ] = None,
    max_drop: Annotated[
        float | None,
        typer.Option(
            min=0, help="Of accuracy, that a codec may cost here. [any]", show_default=False
        ),
    ] = None,
    verify: Annotated[
        int,
        typer.Option(
            min=0, max=1000, help="Links to measure where it is closest. [0]", show_default=False
        ),
    ] = 0,
    input: Input = None,  # noqa: A002
    task: Task = None,
    weights: Weights = None,
    width: Width = None,
    runtime: Runtime = None,
    shape: Shape_ = None,
    seed: Seed = None,
    ue_threads: Threads = None,
    edge_threads: Threads = None,
    topology: Topology = None,
    out: Annotated[Path | None, option("Folder. [runs/plan-MODEL-TIME]")] = None,
    json: Json = False,
) -> None:
    """Predict the best split over every link from one profile; draw the map; verify it."""
    from orchestrator.cli.watching import watching
    from orchestrator.plan import grid as plan_grid
    from orchestrator.plan import run as plan_run
    from orchestrator.plan import show as plan_show

    grid = plan_grid.grid(bw, delay, ue_slowdown)
    own = ("bw", "delay", "ue_slowdown", "profile", "max_drop", "verify", "json")
    config = asked(context, *own)
    most = math.inf if max_drop is None else max_drop
    wanted = plan_run.PlanOptions(grid, profile, verify, most)
    with watching(None, None) as watcher:
        outcome = plan_run.run_plan(config, wanted, watcher)
    plan_show.show(outcome, as_json=json)
