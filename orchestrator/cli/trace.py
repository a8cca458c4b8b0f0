"""The command of `orchestrate` that lets policies choose the split while the link changes."""

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

trace_app = typer.Typer()


@trace_app.command()
def trace(
    context: typer.Context,
    bw_trace: Annotated[
        str, option("FILE (two columns, YAML, mahimahi), steps:20,5,100@10s, lte:SEED or 5g:SEED.")
    ],
    model: Model = None,
    split: Annotated[str | None, option("As for sweep; the anchors are held too. [named]")] = None,
    policy: Annotated[
        str | None,
        option("static:SPLIT, threshold:MBIT, argmin, bandit, a list; static: of every split."),
    ] = None,
    frames: Annotated[
        int | None, typer.Option(help="Per policy, at most.", min=1, show_default=False)
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option(help="Per policy. [the trace's length]", min=0.1, show_default=False),
    ] = None,
    codec: Annotated[str | None, option("Of intermediate data, one. [raw]")] = None,
    input_codec: Annotated[str | None, option("Of the network anchor's input, one. [raw]")] = None,
    calibration: Annotated[str | None, option("As for sweep.")] = None,
    delay_ms: Annotated[str | None, option("One-way, each direction. [0]")] = None,
    jitter_ms: Annotated[str | None, option("Likewise. [0]")] = None,
    loss_pct: Annotated[str | None, option("Likewise. [0]")] = None,
    queue_packets: Annotated[
        int | None, option("Of either direction. [what the rate carries in 100 ms]")
    ] = None,
    dl: Annotated[str | None, option("Downlink only, as rate_mbit=100: not the trace's.")] = None,
    ue_slowdown: Annotated[str | None, option("Times that the UE is slower. [1]")] = None,
    ue_threads: Threads = None,
    edge_threads: Threads = None,
    input: Input = None,  # noqa: A002
    task: Task = None,
    weights: Weights = None,
    width: Width = None,
    runtime: Runtime = None,
    shape: Shape_ = None,
    seed: Seed = None,
    frame_timeout_s: Annotated[float | None, option("When a frame counts as lost.")] = None,
    link_backend: Annotated[str | None, option("auto, native, linkbox or mininet.")] = None,
    topology: Topology = None,
    out: Annotated[Path | None, option("Folder. [runs/trace-MODEL-TIME]")] = None,
    json: Json = False,
) -> None:
    """Replay a bandwidth trace on the real link, once for each policy that chooses the split."""
    from orchestrator.adapt import run as trace_run
    from orchestrator.cli import trace_table as trace_show
    from orchestrator.cli.watching import Noting

    own = ("bw_trace", "policy", "frames", "seconds", "json")
    config = asked(context, *own, bw="1")
    wanted = trace_run.TraceOptions(bw_trace, policy or trace_run.USUAL_POLICIES, frames, seconds)
    outcome = trace_run.run(config, wanted, Noting())
    raise typer.Exit(trace_show.show(outcome, as_json=json))
