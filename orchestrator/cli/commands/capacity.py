"""The command of `orchestrate` that finds how much a pair carries."""

from pathlib import Path
from typing import Annotated

import typer

from orchestrator.api.options import (
    CodecWords,
    EdgeWords,
    FlowWords,
    ImpairmentWords,
    InputWords,
    LinkWords,
    LoadWords,
    ModelWords,
    NodeWords,
    OutWords,
    PaceWords,
    SplitWords,
)
from orchestrator.cli.groups import Asked, grouped
from orchestrator.cli.options import Json, Metrics, Model, Otlp, option
from splitbed.command import Commands

capacity_app = Commands()

_Slo = Annotated[
    list[str] | None,
    option("Must hold: 'e2e_p99<100ms', response_p95, e2e_mean …, several with commas."),
]
_Drops = Annotated[
    str | None, option("Of the frames offered, dropped, failed or late: '<=0.5%'. [<1%]")
]
_Seconds = Annotated[float | None, option("Of a run, at least. [10]")]
_Within = Annotated[
    float | None, option("By which share the first that fails may be above. [0.02]")
]


@capacity_app.command()
@grouped(
    *(InputWords, ModelWords, SplitWords, FlowWords, CodecWords, LinkWords, ImpairmentWords),
    *(PaceWords, LoadWords, EdgeWords, NodeWords, OutWords),
    split="A list, searched alone, with anchors as 0:44; or named, single, all, with both. [named]",
    load="fps or poisson; with --ues 1:32 with a rate, as fps:10. [fps]",
    in_flight="Frames under way at once, at most. [8]",
    ues="A list, 1,4: the rate with each; a range, 1:32: how many at --load fps:10. [1]",
    out="Folder. [runs/capacity-MODEL-TIME]",
)
def capacity(
    asked: Asked,
    model: Model = None,
    slo: _Slo = None,
    drop_rate: _Drops = None,
    seconds: _Seconds = None,
    within: _Within = None,
    resume: Annotated[Path | None, option("Go on with this run folder; takes no other.")] = None,
    metrics: Metrics = None,
    otlp: Otlp = None,
    json: Json = False,
) -> None:
    """Find the highest rate, or number of UEs, at which all holds that must: what a pair carries.

    Exits with 1 where a search found no answer.
    """
    from orchestrator.capacity.asked import capacity_or_resumed
    from orchestrator.capacity.run import run_capacity
    from orchestrator.cli.show.capacity import show_capacity
    from orchestrator.cli.watch.watching import watching

    own = {"slo": slo, "drop_rate": drop_rate, "seconds": seconds, "within": within}
    wanted = capacity_or_resumed(model, resume, asked, own)
    with watching(metrics, otlp) as watcher:
        outcome = run_capacity(wanted, watcher, resume)
    show_capacity(outcome, as_json=json)
    raise typer.Exit(outcome.exit_code)
