"""The `orchestrate` command."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from splitbed.command import INTERRUPTED, run_command_line

if TYPE_CHECKING:
    from orchestrator.config import SweepConfig

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # importing Rich's would double the time that --help takes
    help="Where should this network be cut, over this link? Measured, not computed.",
)

MODEL = "NAME (orchestrate models) or FILE (.onnx, .tflite)."
Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]


def _option(words: str) -> Any:
    return typer.Option(help=words, show_default=False)


@app.command()
def sweep(
    context: typer.Context,
    model: Annotated[str | None, _option(MODEL)] = None,
    split: Annotated[
        str | None,
        _option("named, single, all, or a list of labels, k:n-k, NODE:before, NODE:after. [named]"),
    ] = None,
    bw: Annotated[str | None, _option("Mbit/s, a list. [5,20,100]")] = None,
    delay_ms: Annotated[str | None, _option("One-way, each direction, a list. [0]")] = None,
    jitter_ms: Annotated[str | None, _option("A list. [0]")] = None,
    loss_pct: Annotated[str | None, _option("A list. [0]")] = None,
    link: Annotated[str | None, _option("Profiles (orchestrate links) in place of a grid.")] = None,
    queue_packets: Annotated[int | None, _option("Queue of either direction. [1000]")] = None,
    ul: Annotated[str | None, _option("Uplink only, as rate_mbit=20,delay_ms=5.")] = None,
    dl: Annotated[str | None, _option("Downlink only, likewise.")] = None,
    runs: Annotated[int | None, _option("Frames per cell at most; 3 when stable. [5]")] = None,
    warmup: Annotated[int | None, _option("Uncounted runs of each part. [1]")] = None,
    ue_threads: Annotated[int | None, _option("0: all CPUs. [0]")] = None,
    edge_threads: Annotated[int | None, _option("0: all CPUs. [0]")] = None,
    input: Annotated[Path | None, _option("Picture FILE or FOLDER.")] = None,  # noqa: A002
    weights: Annotated[Path | None, _option("Trained weights, a FILE.")] = None,
    width: Annotated[float | None, _option("Multiplier of the channels (posenet). [1]")] = None,
    runtime: Annotated[str | None, _option("onnx or tflite. [the model's usual]")] = None,
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
    shape: Annotated[str | None, _option("Fixes dynamic inputs: NAME=1x3x300x300,…")] = None,
    seed: Annotated[int | None, _option("Of weights and made-up inputs. [0]")] = None,
    frame_timeout_s: Annotated[float | None, _option("When a node counts as hung.")] = None,
    link_backend: Annotated[str | None, _option("auto, native, linkbox or mininet.")] = None,
    topology: Annotated[Path | None, _option("YAML like topologies/pair.yaml.")] = None,
    config: Annotated[Path | None, _option("YAML with these options as keys.")] = None,
    out: Annotated[Path | None, _option("Run folder. [runs/MODEL-TIME]")] = None,
    resume: Annotated[Path | None, _option("Go on with this run folder; takes no other.")] = None,
    json: Json = False,
) -> None:
    """Measure every split over every link, both anchors included."""
    from netem.namespace import ensure_privilege
    from orchestrator import report, sweep
    from orchestrator.config import sweep_config
    from splitbed.errors import UsageError

    named = ("config", "resume", "json")
    options = {k: v for k, v in context.params.items() if v is not None and k not in named}
    if resume and (options or config):
        raise UsageError("--resume goes on with the options of that run: give no others")
    asked = sweep.read_config(resume) if resume else sweep_config(options, config)
    ensure_privilege()
    with report.progress() as progress:
        outcome = sweep.run(asked, progress, resume)
    report.show(outcome, as_json=json)
    raise typer.Exit(outcome.exit_code)


Model = Annotated[str | None, _option(MODEL)]
Split = Annotated[str | None, _option("As for sweep. [all]")]
Weights = Annotated[Path | None, _option("Trained weights, a FILE.")]
Width = Annotated[float | None, _option("Multiplier of the channels (posenet). [1]")]
Runtime = Annotated[str | None, _option("onnx or tflite. [the model's usual]")]
Shape_ = Annotated[str | None, _option("Fixes dynamic inputs: NAME=1x3x300x300,…")]
Seed = Annotated[int | None, _option("Of weights and made-up inputs. [0]")]
Threads = Annotated[int | None, _option("0: all CPUs. [0]")]


def _asked(context: typer.Context, *own: str, **fixed: Any) -> "SweepConfig":
    """The options that a command shares with sweep, `own` being those that it does not."""
    from orchestrator.config import sweep_config

    given = {k: v for k, v in context.params.items() if v is not None and k not in own}
    return sweep_config({**fixed, **given})


@app.command()
def verify(
    context: typer.Context,
    model: Model = None,
    images: Annotated[Path | None, _option("Picture FILE or FOLDER.")] = None,
    split: Split = None,
    weights: Weights = None,
    width: Width = None,
    runtime: Runtime = None,
    shape: Shape_ = None,
    seed: Seed = None,
    out: Annotated[Path | None, _option("CSV with a row per picture and split.")] = None,
    json: Json = False,
) -> None:
    """Hold every split against the whole model, picture by picture (clause 10.2.8)."""
    from orchestrator import commands

    fixed = {"split": "all"} | ({"input": images} if images else {})
    config = _asked(context, "images", "out", "json", **fixed)
    raise typer.Exit(commands.run_verify(config, out, as_json=json))


@app.command()
def infer(
    context: typer.Context,
    model: Model = None,
    input: Annotated[Path | None, _option("Picture FILE or FOLDER.")] = None,  # noqa: A002
    draw: Annotated[Path | None, _option("Picture to draw on a copy of; FOLDER for many.")] = None,
    annotations: Annotated[
        Path | None, _option("COCO key points as JSON: average precision.")
    ] = None,
    weights: Weights = None,
    width: Width = None,
    runtime: Runtime = None,
    shape: Shape_ = None,
    seed: Seed = None,
    json: Json = False,
) -> None:
    """Run the whole model here, and draw what it found."""
    from orchestrator import commands

    config = _asked(context, "draw", "annotations", "json")
    commands.run_infer(config, draw, annotations, as_json=json)


@app.command()
def profile(
    context: typer.Context,
    model: Model = None,
    weights: Weights = None,
    width: Width = None,
    runtime: Runtime = None,
    shape: Shape_ = None,
    seed: Seed = None,
    ue_threads: Threads = None,
    edge_threads: Threads = None,
    topology: Annotated[Path | None, _option("YAML like topologies/pair.yaml.")] = None,
    out: Annotated[Path | None, _option("CSV, a row per cut. [runs/MODEL-profile-TIME]")] = None,
    json: Json = False,
) -> None:
    """Time the model and each of its layers on both nodes (clause 10.2.7)."""
    from netem.namespace import ensure_privilege
    from orchestrator import commands

    config = _asked(context, "out", "json")
    ensure_privilege()
    commands.run_profile(config, out, as_json=json)


scenarios = typer.Typer(no_args_is_help=True, help="Scenarios of clause 10: show and run them.")
app.add_typer(scenarios, name="scenario")
ScenarioName = Annotated[str, typer.Argument(help="Clause, as 10.2, or FILE.yaml.")]


@scenarios.command("show")
def scenario_show(
    name: ScenarioName,
    yaml: Annotated[bool, typer.Option("--yaml", help="The file, to copy and change.")] = False,
) -> None:
    """Print the scenario template of clause 3, filled in."""
    from orchestrator import scenario

    loaded = scenario.load_scenario(name)
    sys.stdout.write(scenario.scenario_text(name) if yaml else loaded.markdown())


@scenarios.command("run")
def scenario_run(
    context: typer.Context,
    name: ScenarioName,
    images: Annotated[Path | None, _option("Picture FILE or FOLDER.")] = None,
    split: Annotated[
        str | None, _option("Of the sweep, as for sweep; all are verified. [the scenario's]")
    ] = None,
    annotations: Annotated[Path | None, _option("COCO key points as JSON: mAP.")] = None,
    bw: Annotated[str | None, _option("Mbit/s, a list. [the scenario's]")] = None,
    weights: Weights = None,
    width: Width = None,
    runtime: Runtime = None,
    runs: Annotated[int | None, _option("As for sweep.")] = None,
    out: Annotated[Path | None, _option("Folder for it all. [runs/scenario-NAME-TIME]")] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="NAME is the folder of a run to go on with.")
    ] = False,
) -> None:
    """Verify, deliver, sweep and profile, and leave one folder with the tables of the clause."""
    from netem.namespace import ensure_privilege
    from orchestrator import report, scenario_run
    from splitbed.errors import UsageError

    own = ("name", "images", "annotations", "out", "resume")
    options = {k: v for k, v in context.params.items() if v is not None and k not in own}
    if images:
        options["input"] = images
    if resume and (options or annotations or out):
        raise UsageError("--resume goes on with the options of that run: give no others")
    ensure_privilege()
    folder = Path(name) if resume else scenario_run.begin(name, options, annotations, out)
    go_on = f"orchestrate scenario run {folder} --resume"
    try:
        with report.progress() as progress:
            outcome, exit_code = scenario_run.run(folder, progress)
    except KeyboardInterrupt:  # while verifying; a sweep ends by itself, and says so below
        sys.stderr.write(f"interrupted; go on with: {go_on}\n")
        raise typer.Exit(INTERRUPTED) from None
    report.show(outcome, as_json=False, resume=go_on)
    if (tables := folder / scenario_run.TABLES_FILE).exists():
        report.stdout().print(f"Tables of the clause: {tables}", soft_wrap=True)
    raise typer.Exit(exit_code)


@app.command()
def doctor(json: Json = False) -> None:
    """Say what this machine can do, which link it will use, and what to install for more."""
    from orchestrator import look

    raise typer.Exit(look.doctor(as_json=json))


@app.command()
def models(json: Json = False) -> None:
    """List the anchor models."""
    from orchestrator import look

    look.models(as_json=json)


@app.command()
def splits(
    context: typer.Context,
    model: Annotated[str, typer.Argument(help=MODEL)],
    split: Split = None,
    width: Width = None,
    runtime: Runtime = None,
    shape: Shape_ = None,
    json: Json = False,
) -> None:
    """List a model's cuts: what crosses, and what each side computes."""
    from orchestrator import look

    look.splits(_asked(context, "json", split="all"), as_json=json)


@app.command()
def links(json: Json = False) -> None:
    """List the named link profiles."""
    from orchestrator import look

    look.links(as_json=json)


@app.command()
def clean() -> None:
    """Remove what killed runs left behind: this tool's own, and nothing of a run that lives."""
    from orchestrator import look

    look.clean()


def main() -> None:
    """Entry point of `orchestrate`."""
    run_command_line(app)
