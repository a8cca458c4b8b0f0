"""The command of `orchestrate` that plans."""

from pathlib import Path
from typing import Annotated

import typer

from orchestrator.api.options import (
    CodecWords,
    FlowWords,
    InputWords,
    LoadWords,
    ModelWords,
    NodeWords,
    OutWords,
    SplitWords,
)
from orchestrator.cli.groups import Asked, grouped
from orchestrator.cli.options import Json, Model, option
from splitbed.command import Commands

plan_app = Commands()

_Rates = Annotated[
    str, option("Mbit/s: a range FROM:TO or FROM:TO:COUNT, or a list. [1:1000]", "Link")
]
_Delays = Annotated[str, option("One-way, ms, likewise. [0:50]", "Link")]
_LinkOf = Annotated[
    str | None,
    option("One link of a flow only, as backhaul:rate_mbit=1000,delay_ms=20.", "Link"),
]
_Slowdowns = Annotated[str, option("Times that the UE is slower, likewise. [1]", "UE")]
_Power = Annotated[
    str | None, option("Plan by energy, too, by a model of what the UE takes: ue=FILE.yaml.", "UE")
]
_Slo = Annotated[
    list[str] | None,
    option(
        "Limit of what is chosen by energy, with commas or again, as e2e_p95<200ms. [none]", "UE"
    ),
]
_Profile = Annotated[
    Path | None,
    option("Of an earlier sweep or plan, its FOLDER; or FILE of profile --json. [taken now]"),
]
_UeProfile = Annotated[
    Path | None, option("Operators' times of another UE, FILE of TFLite's benchmark_model.", "UE")
]
_Lessons = Annotated[
    str | None,
    option("Sweeps and verified plans whose errors make the intervals, FOLDER,… [built in]"),
]
_MaxDrop = Annotated[
    float | None,
    typer.Option(
        min=0, help="Of accuracy: what loses more is not planned. [0.01]", show_default=False
    ),
]
_Verify = Annotated[
    int,
    typer.Option(
        min=0, max=1000, help="Links to measure where it is closest. [0]", show_default=False
    ),
]


@plan_app.command()
@grouped(
    *(InputWords, ModelWords, SplitWords, FlowWords, CodecWords, LoadWords, NodeWords, OutWords),
    split="As for sweep. [named]",
    load="Predict response under it, too: fps:30, poisson:20, burst:8/0.5, trace:FILE. [none]",
    out="Folder. [runs/plan-MODEL-TIME]",
)
def plan(
    asked: Asked,
    model: Model = None,
    bw: _Rates = "1:1000",
    delay: _Delays = "0:50",
    link_of: _LinkOf = None,
    ue_slowdown: _Slowdowns = "1",
    profile: _Profile = None,
    ue_profile_csv: _UeProfile = None,
    learn: _Lessons = None,
    max_drop: _MaxDrop = None,
    verify: _Verify = 0,
    power: _Power = None,
    slo: _Slo = None,
    json: Json = False,
) -> None:
    """Predict the best split over every link from one profile; draw the map; verify it.

    Exits with 1 where --verify finds a choice that is not the best, or could not measure one.
    """
    from orchestrator.api.asking import config_of
    from orchestrator.cli.watch.watching import watching
    from orchestrator.plan import grid as plan_grid
    from orchestrator.plan import run as plan_run
    from orchestrator.plan import show as plan_show
    from orchestrator.plan.doubt import limits

    grid = plan_grid.grid(bw, delay, ue_slowdown)
    asked_limits = limits.plan_limits(slo or ())
    own = {"max_drop": max_drop, "link_of": link_of, "power": power}
    config = config_of(model, asked | {k: value for k, value in own.items() if value is not None})
    runs = tuple(Path(one) for one in learn.split(",")) if learn else ()
    wanted = plan_run.PlanOptions(grid, profile, verify, ue_profile_csv, runs, asked_limits)
    with watching(None, None) as watcher:
        outcome = plan_run.run_plan(config, wanted, watcher)
    plan_show.show(outcome, as_json=json)
    raise typer.Exit(outcome.exit_code)
