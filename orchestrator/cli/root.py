"""The `orchestrate` command."""

import os
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.check import check_app
from orchestrator.cli.look import look_app
from orchestrator.cli.machines import machines_app
from orchestrator.cli.options import (
    MODEL,
    Frames,
    Input,
    Json,
    Metrics,
    Model,
    Otlp,
    Runtime,
    Seed,
    Shape_,
    Split,
    Task,
    Threads,
    Topology,
    Weights,
    Width,
    asked,
    option,
)
from orchestrator.cli.plan import plan_app
from orchestrator.cli.report import report_app
from orchestrator.cli.scenario import scenarios
from orchestrator.cli.trace import trace_app
from splitbed.command import run_command_line

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # importing Rich's would double the time that --help takes
    help="Where should this network be cut, over this link? Measured, not computed.",
)


@app.command()
def sweep(
    context: typer.Context,
    model: Annotated[str | None, option(MODEL)] = None,
    split: Annotated[
        str | None,
        option("named, single, all, or a list of labels, k:n-k, NODE:before, NODE:after. [named]"),
    ] = None,
    bw: Annotated[str | None, option("Mbit/s, a list. [5,20,100]")] = None,
    delay_ms: Annotated[str | None, option("One-way, each direction, a list. [0]")] = None,
    jitter_ms: Annotated[str | None, option("A list. [0]")] = None,
    loss_pct: Annotated[str | None, option("A list. [0]")] = None,
    link: Annotated[str | None, option("Profiles (orchestrate links) in place of a grid.")] = None,
    queue_packets: Annotated[int | None, option("Queue of either direction. [1000]")] = None,
    ul: Annotated[str | None, option("Uplink only, as rate_mbit=20,delay_ms=5.")] = None,
    dl: Annotated[str | None, option("Downlink only, likewise.")] = None,
    runs: Annotated[int | None, option("Frames per cell at most; 3 when stable. [5]")] = None,
    warmup: Annotated[int | None, option("Uncounted runs of each part. [1]")] = None,
    ue_threads: Annotated[int | None, option("0: all CPUs. [0]")] = None,
    edge_threads: Annotated[int | None, option("0: all CPUs. [0]")] = None,
    codec: Annotated[
        str | None, option("Of intermediate data, a list (orchestrate codecs). [raw]")
    ] = None,
    input_codec: Annotated[
        str | None, option("Of the network anchor's input: raw,uint8,jpeg:75,avc… [raw]")
    ] = None,
    calibration: Annotated[
        str | None, option("Frames that codecs are calibrated on, as for --input.")
    ] = None,
    ue_slowdown: Annotated[str | None, option("Times that the UE is slower, a list. [1]")] = None,
    ue_cpu: Annotated[str | None, option("CPUs that the UE may use, a list, as 0.25,1.")] = None,
    ue_profile: Annotated[
        str | None, option("Devices that the UE is as slow as: samsung-a01, … or FILE.yaml.")
    ] = None,
    fps: Annotated[float | None, option("Frames a second, for bit rates. [30]")] = None,
    input: Input = None,  # noqa: A002
    task: Task = None,
    weights: Weights = None,
    width: Annotated[float | None, option("Multiplier of the channels (posenet). [1]")] = None,
    runtime: Annotated[str | None, option("onnx or tflite. [the model's usual]")] = None,
    delivery: Annotated[
        bool | None,
        typer.Option(
            "--delivery/--no-delivery",
            help="Send part 1 to the UE over the link, and time it. [--delivery]",
            show_default=False,
        ),
    ] = None,
    profile: Annotated[
        bool | None,
        typer.Option(
            "--profile/--no-profile",
            help="Profile both nodes first, and say how well that predicts. [--profile]",
            show_default=False,
        ),
    ] = None,
    shape: Annotated[str | None, option("Fixes dynamic inputs: NAME=1x3x300x300,…")] = None,
    seed: Annotated[int | None, option("Of weights and made-up inputs. [0]")] = None,
    frame_timeout_s: Annotated[float | None, option("When a node counts as hung.")] = None,
    link_backend: Annotated[str | None, option("auto, native, linkbox or mininet.")] = None,
    topology: Topology = None,
    config: Annotated[Path | None, option("YAML with these options as keys.")] = None,
    out: Annotated[Path | None, option("Run folder. [runs/MODEL-TIME]")] = None,
    resume: Annotated[Path | None, option("Go on with this run folder; takes no other.")] = None,
    threshold: Annotated[
        list[str] | None, option("Exit 1 when broken: 'e2e_p95<250ms@stage2,bw=20'; repeatable.")
    ] = None,
    metrics: Metrics = None,
    otlp: Otlp = None,
    json: Json = False,
) -> None:
    """Measure every split over every link, both anchors included."""
    from orchestrator.api.sweep import asked_of, run_sweep
    from orchestrator.checks.threshold import broken, parse
    from orchestrator.cli.watching import watching
    from orchestrator.reports import terminal as report

    named = ("config", "resume", "threshold", "metrics", "otlp", "json")
    limits = [parse(text) for text in threshold or ()]
    options = {k: v for k, v in context.params.items() if v is not None and k not in named}
    asked = asked_of(None, config, resume, options)
    with watching(metrics, otlp) as progress:
        outcome = run_sweep(asked, progress, resume)
    report.show(outcome, as_json=json)
    lines = broken(limits, outcome.rows) if limits and outcome.stopped is None else []
    typer.echo("".join(f"{line}\n" for line in lines), err=True, nl=False)
    raise typer.Exit(outcome.exit_code or bool(lines))


@app.command()
def verify(
    context: typer.Context,
    model: Model = None,
    images: Input = None,
    split: Split = None,
    task: Task = None,
    weights: Weights = None,
    width: Width = None,
    runtime: Runtime = None,
    shape: Shape_ = None,
    seed: Seed = None,
    out: Annotated[Path | None, option("CSV with a row per picture and split.")] = None,
    json: Json = False,
) -> None:
    """Hold every split against the whole model, picture by picture (clause 10.2.8)."""
    from orchestrator.cli import commands

    fixed = {"split": "all"} | ({"input": images} if images else {})
    config = asked(context, "images", "out", "json", **fixed)
    raise typer.Exit(commands.run_verify(config, out, as_json=json))


@app.command()
def infer(
    context: typer.Context,
    model: Model = None,
    input: Input = None,  # noqa: A002
    frames: Frames = None,
    draw: Annotated[
        Path | None, option("Picture to draw a copy as, or video (.mp4); FOLDER for many.")
    ] = None,
    predictions: Annotated[
        Path | None, option("FOLDER for the boxes: NAME.txt, label confidence x y w h.")
    ] = None,
    annotations: Annotated[
        Path | None, option("COCO key points as JSON: average precision.")
    ] = None,
    task: Task = None,
    weights: Weights = None,
    width: Width = None,
    runtime: Runtime = None,
    shape: Shape_ = None,
    seed: Seed = None,
    json: Json = False,
) -> None:
    """Run the whole model here; draw and judge what it found."""
    from orchestrator.cli import commands

    config = asked(context, "frames", "draw", "predictions", "annotations", "json")
    wanted = commands.InferOptions(draw, predictions, annotations, frames)
    commands.run_infer(config, wanted, as_json=json)


@app.command()
def profile(
    context: typer.Context,
    model: Model = None,
    task: Task = None,
    weights: Weights = None,
    width: Width = None,
    runtime: Runtime = None,
    shape: Shape_ = None,
    seed: Seed = None,
    ue_threads: Threads = None,
    edge_threads: Threads = None,
    topology: Topology = None,
    out: Annotated[Path | None, option("CSV, a row per cut. [runs/MODEL-profile-TIME]")] = None,
    json: Json = False,
) -> None:
    """Time the model and each of its layers on both nodes (clause 10.2.7)."""
    from orchestrator.cli import commands

    config = asked(context, "out", "json")
    commands.run_profile(config, out, as_json=json)


@app.command()
def rd(
    context: typer.Context,
    model: Model = None,
    split: Annotated[str | None, option("As for sweep. [named]")] = None,
    codecs: Annotated[
        str | None, option("At the splits, a list; avc is a ladder, avc:30 a point. [raw]")
    ] = None,
    input_codecs: Annotated[str | None, option("Of the input, likewise. [raw]")] = None,
    input: Input = None,  # noqa: A002
    frames: Annotated[int | None, option("Measured, the first of the input. [50]")] = None,
    bw: Annotated[str | None, option("Mbit/s, a list, for bounds. [5,20,100]")] = None,
    fps: Annotated[float | None, option("Frames a second, for bit rates. [30]")] = None,
    anchor: Annotated[
        str | None, option("Curve that BD-rates are against. [the input's first ladder]")
    ] = None,
    calibration: Annotated[
        str | None, option("Frames that codecs are calibrated on, as for --input.")
    ] = None,
    task: Task = None,
    weights: Weights = None,
    width: Width = None,
    runtime: Runtime = None,
    shape: Shape_ = None,
    seed: Seed = None,
    out: Annotated[Path | None, option("Folder. [runs/rd-MODEL-TIME]")] = None,
    json: Json = False,
) -> None:
    """Hold codecs' rate against accuracy and latency, here, without a link."""
    from orchestrator.offline import run as rd_run

    named = {"codec": codecs, "input_codec": input_codecs, "runs": 50 if frames is None else frames}
    fixed = {name: value for name, value in named.items() if value is not None}
    config = asked(context, "codecs", "input_codecs", "frames", "anchor", "json", **fixed)
    raise typer.Exit(rd_run.run_rd(config, anchor, as_json=json))


app.add_typer(scenarios, name="scenario")
for more in (report_app, check_app, plan_app, trace_app, look_app, machines_app):
    app.add_typer(more)


def main() -> None:
    """Entry point of `orchestrate`."""
    # what its core would write to stderr is told by our errors, in words
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    run_command_line(app)
