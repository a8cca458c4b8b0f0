"""The command of `orchestrate` that lets policies choose split and codec while the link changes."""

from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.api.options import (
    CodecWords,
    ImpairmentWords,
    InputWords,
    ModelWords,
    NodeWords,
    SplitWords,
)
from orchestrator.cli.groups import Asked, grouped
from orchestrator.cli.options import Json, Model, option
from splitbed.command import Commands, say
from splitbed.errors import INTERRUPTED, RunError, SplitbedError

if TYPE_CHECKING:
    from orchestrator.adapt.run import TraceOutcome

trace_app = Commands()

_SHOWN = (
    "policy", "frames", "lost", "held", "mean_ms", "p95_ms", "regret_pct", "switches", "steps",
    "switches_per_step", "readapted", "readapt_s",
)  # fmt: skip


@trace_app.command()
@grouped(
    *(InputWords, ModelWords, SplitWords, CodecWords, ImpairmentWords, NodeWords),
    split="As for sweep; the anchors are held too. [named]",
    codec="Of intermediate data, a list: each split is held with each. [raw]",
    input_codec="Of the network anchor's input, a list. [raw]",
    calibration="As for sweep.",
    delay_ms="One-way, each direction. [0]",
    jitter_ms="Likewise. [0]",
    loss_pct="Likewise. [0]",
    queue_packets="Of either direction. [what the rate carries in 100 ms]",
    dl="Downlink only, as rate_mbit=100: not the trace's.",
)
def trace(
    asked: Asked,
    bw_trace: Annotated[
        str, option("FILE (two columns, YAML, mahimahi), steps:20,5,100@10s, lte:SEED or 5g:SEED.")
    ],
    model: Model = None,
    policy: Annotated[
        str | None,
        option(
            "A list: static, static:SPLIT, threshold:MBIT, deadline:MS, argmin, forecast, bandit."
        ),
    ] = None,
    frames: Annotated[
        int | None, typer.Option(help="Per policy, at most.", min=1, show_default=False)
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option(help="Per policy. [the trace's length]", min=0.1, show_default=False),
    ] = None,
    accuracy_frames: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Of the input, at most, that lossy codecs are judged on. [100]",
            show_default=False,
        ),
    ] = None,
    max_drop: Annotated[
        float | None,
        typer.Option(
            min=0, help="Of accuracy: what loses more no policy chooses. [0.01]", show_default=False
        ),
    ] = None,
    ue_slowdown: Annotated[str | None, option("Times that the UE is slower. [1]")] = None,
    frame_timeout_s: Annotated[float | None, option("When a frame counts as lost.")] = None,
    out: Annotated[Path | None, option("Folder. [runs/trace-MODEL-TIME]")] = None,
    json: Json = False,
) -> None:
    """Replay a bandwidth trace on the real link, once for each policy that chooses the split."""
    from orchestrator.adapt import run as trace_run
    from orchestrator.api.asking import config_of
    from orchestrator.cli.watch.watching import watching

    own = {"ue_slowdown": ue_slowdown, "frame_timeout_s": frame_timeout_s, "out": out, "bw": "1"}
    own |= {"accuracy_frames": accuracy_frames, "max_drop": max_drop}
    wanted = trace_run.TraceOptions(bw_trace, policy or trace_run.USUAL_POLICIES, frames, seconds)
    with watching(None, None) as watcher:
        outcome = trace_run.run(config_of(model, asked | own), wanted, watcher)
    raise typer.Exit(_show(outcome, as_json=json))


def _shown(value: object) -> object:
    if isinstance(value, float):
        return round(value, 2)
    return "" if value is None else value


def _show(outcome: "TraceOutcome", *, as_json: bool) -> int:
    """Print what came out; 1 where it is INVALID, or what ended the run asks for, else 0."""
    from orchestrator.reports.terminal import show_lines, show_verdict, stdout

    folder = str(outcome.folder.path)
    said = None if outcome.stopped is None else str(outcome.stopped) or "interrupted"
    verdict = outcome.verdict
    if as_json:
        answer = {
            "run": folder,
            "verdict": verdict.word,
            "reasons": verdict.reasons,
            "advice": verdict.advice,
            "stopped": said,
            "rows": [row.plain() for row in outcome.rows],
        }
        typer.echo(dumps(answer, indent=2))
    else:
        lines = [{name: _shown(getattr(row, name)) for name in _SHOWN} for row in outcome.rows]
        show_lines(lines, as_json=False)
        show_verdict(verdict, stdout())
        say(f"Frames, rows and the picture over time: {folder}")
    match outcome.stopped:
        case SplitbedError() as error:
            return error.exit_code
        case KeyboardInterrupt():
            return INTERRUPTED
    return 0 if verdict.valid else RunError.exit_code
