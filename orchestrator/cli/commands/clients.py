"""The commands of `orchestrate` that keep a pair up for others: serve and loadgen."""

from json import dumps
from typing import TYPE_CHECKING, Annotated

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
from orchestrator.cli.options import Json, Metrics, Model, option
from orchestrator.clients.loadgen.asked import LoadgenAsked
from splitbed.command import Commands, say
from splitbed.errors import RunError

if TYPE_CHECKING:
    from orchestrator.clients.loadgen.run import LoadgenOutcome

clients_app = Commands()

MOST_IN_FLIGHT = 12
"""A node answers 16 calls at a time, and some look after it."""

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
InFlight = Annotated[
    int | None,
    typer.Option(
        help=f"Frames under way at once, at most {MOST_IN_FLIGHT}. [1]",
        min=1,
        max=MOST_IN_FLIGHT,
        show_default=False,
    ),
]
Delivery = Annotated[bool | None, option("Send part 1 to the UE over the link. [yes]")]


def _number(words: str, *, least: float) -> object:
    """An option of LoadGen's."""
    return typer.Option(help=words, min=least, show_default=False, rich_help_panel="LoadGen")


@clients_app.command()
@grouped(
    *(InputWords, *_GROUPS, OutWords),
    **_ONE,
    input="That codecs are calibrated on.",
    out="Folder. [runs/serve-MODEL-TIME]",
)
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
    in_flight: InFlight = None,
    delivery: Delivery = None,
    metrics: Metrics = None,
) -> None:
    """Answer clients of the Open Inference Protocol with a split, until Ctrl-C."""
    from orchestrator.api.asking import config_of
    from orchestrator.cli.watch.watching import watching
    from orchestrator.clients.serve import served
    from orchestrator.reports.terminal import show_verdict, stdout

    own = {"bw": bw, "in_flight": in_flight, "delivery": delivery}
    config = config_of(model, asked | own)
    with watching(metrics, None) as watcher, served(config, infer, watcher) as pair:
        say(f"{pair.model} is served at {pair.address} (Open Inference Protocol, gRPC)")
        stdout().file.flush()
        pair.wait(seconds)
    show_verdict(pair.verdict, stdout())
    say(f"What was asked for, and how its link was proved: {pair.folder}")
    raise typer.Exit(0 if pair.verdict.valid else RunError.exit_code)


@clients_app.command()
@grouped(*(InputWords, *_GROUPS, OutWords), **_ONE, out="Folder. [runs/loadgen-MODEL-TIME]")
def loadgen(
    asked: Asked,
    bw: Bandwidth,
    model: Model = None,
    scenario: Annotated[
        str, option("SingleStream, MultiStream, Server or Offline.", "LoadGen")
    ] = "SingleStream",
    target_qps: Annotated[
        float, _number("Samples a second, for Server and Offline. [10]", least=0.001)
    ] = LoadgenAsked.target_qps,
    latency_ms: Annotated[
        float, _number("Bound of Server, at the 99th percentile. [1000]", least=0.001)
    ] = LoadgenAsked.latency_ms,
    duration_s: Annotated[float, _number("At least. [10]", least=0.1)] = LoadgenAsked.duration_s,
    queries: Annotated[int, _number("At least. [100]", least=1)] = LoadgenAsked.queries,
    samples_per_query: Annotated[
        int, _number("Of MultiStream. [8]", least=1)
    ] = LoadgenAsked.samples_per_query,
    samples: Annotated[int, _number("Inputs in LoadGen's library. [3]", least=3)] = 3,
    in_flight: InFlight = None,
    delivery: Delivery = None,
    metrics: Metrics = None,
    json: Json = False,
) -> None:
    """Have MLPerf LoadGen ask a split, and hold its percentiles against ours."""
    from orchestrator.api.asking import config_of
    from orchestrator.cli.watch.watching import watching
    from orchestrator.clients.loadgen.run import run

    wanted = LoadgenAsked(scenario, target_qps, latency_ms, duration_s, queries, samples_per_query)
    own = {"bw": bw, "in_flight": in_flight, "delivery": delivery, "runs": samples}
    config = config_of(model, asked | own)
    with watching(metrics, None) as watcher:
        outcome = run(config, wanted, watcher)
    _show(outcome, as_json=json)
    raise typer.Exit(0 if outcome.verdict.valid else RunError.exit_code)


def _show(outcome: "LoadgenOutcome", *, as_json: bool) -> None:
    from orchestrator.reports.terminal import rounded, show_lines, show_verdict, stdout

    record = outcome.record
    if as_json:
        typer.echo(dumps({"run": str(outcome.folder)} | record.plain(), indent=2))
        return
    lines = [
        {
            "percentile": 100 * one.quantile,
            "ours_ms": one.ours_ms,
            "low_ms": one.low_ms,
            "high_ms": one.high_ms,
            "covers": one.covers,
            "loadgen_ms": one.loadgen_ms,
        }
        for one in record.percentiles
    ]
    if lines:
        show_lines([rounded(one) for one in lines], as_json=False)
    show_verdict(outcome.verdict, stdout())
    took = "" if record.e2e_ms is None else f", {record.e2e_ms:.1f} ms end to end (median)"
    called = record.loadgen_verdict or "nothing: it did not come to its end"
    say(f"{record.samples} samples{took}; LoadGen calls its run {called}")
    say(f"Frames, queries and LoadGen's own summary: {outcome.folder}")
