"""The commands of `orchestrate` that keep a pair up for others: serve."""

from typing import Annotated

import typer

from orchestrator.api.options import (
    CodecWords,
    ImpairmentWords,
    InputWords,
    ModelWords,
    NodeWords,
    OutWords,
    PaceWords,
    SplitWords,
)
from orchestrator.cli.groups import Asked, grouped
from orchestrator.cli.options import Metrics, Model, option
from splitbed.command import Commands, say
from splitbed.errors import RunError

clients_app = Commands()

_ONE = {
    "split": "One label, k:n-k, NODE:before or NODE:after (orchestrate splits).",
    "codec": "Of intermediate data (orchestrate codecs). [raw]",
    "input_codec": "Of an input that crosses. [raw]",
    "delay_ms": "One-way, each direction. [0]",
    "jitter_ms": "Likewise. [0]",
    "loss_pct": "Likewise. [0]",
    "ue_slowdown": "Times that the UE is slower. [1]",
    "ue_cpu": "CPUs that the UE may use, as 0.25.",
    "ue_profile": "Device that the UE is as slow as: samsung-a01, … or FILE.yaml.",
}
_GROUPS = (ModelWords, SplitWords, CodecWords, ImpairmentWords, PaceWords, NodeWords)
Bandwidth = Annotated[float, option("Mbit/s.", "Link")]


@clients_app.command()
@grouped(InputWords, *_GROUPS, OutWords, **_ONE, input="That codecs are calibrated on.")
def serve(
    asked: Asked,
    bw: Bandwidth,
    model: Model = None,
    infer: Annotated[
        str | None, option("IP:PORT of this machine where clients are answered. [127.0.0.1:8001]")
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option(help="End after so long. [when it is ended]", min=0.1, show_default=False),
    ] = None,
    metrics: Metrics = None,
) -> None:
    """Answer clients of the Open Inference Protocol with a split, until Ctrl-C."""
    from orchestrator.api.asking import config_of
    from orchestrator.cli.watch.watching import watching
    from orchestrator.clients.serve import serve as keep
    from orchestrator.reports.terminal import show_verdict, stdout

    def serving(name: str, address: str) -> None:
        say(f"{name} is served at {address} (Open Inference Protocol, gRPC)")
        stdout().file.flush()

    with watching(metrics, None) as watcher:
        outcome = keep(config_of(model, asked | {"bw": bw}), infer, watcher, serving, seconds)
    show_verdict(outcome.verdict, stdout())
    say(f"What was served, and how its link was proved: {outcome.folder}")
    raise typer.Exit(0 if outcome.verdict.valid else RunError.exit_code)
