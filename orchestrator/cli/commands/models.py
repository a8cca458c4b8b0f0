"""The command of `orchestrate` about models in transit."""

from pathlib import Path
from typing import Annotated

import typer

from orchestrator.api.options import (
    ImpairmentWords,
    InputWords,
    LinkWords,
    ModelWords,
    NodeWords,
    TransitWords,
)
from orchestrator.cli.groups import Asked, grouped
from orchestrator.cli.options import MODEL, Json, Model, option
from orchestrator.cli.watch.heartbeat import alive
from splitbed.command import Commands, say

models_app = Commands()
_AS_PUBLISHED = {"token_normalize_func": lambda word: word.replace("_", "-")}
"""Options may be typed as Table 2.1.2.2-1 has them: --coder_name."""
_MODEL = typer.Option(
    "--model", "--model-name", help=MODEL, show_default=False, rich_help_panel="Model"
)


@models_app.command("model-sweep", context_settings=_AS_PUBLISHED)
@grouped(TransitWords, ModelWords, LinkWords, ImpairmentWords, NodeWords)
def model_sweep(
    asked: Asked, model: Annotated[str | None, _MODEL] = None, json: Json = False
) -> None:
    """Send a model over every link, as coders compress it; judge what the UE has (clause 5.2)."""
    from orchestrator.cli.show.models import show_models
    from orchestrator.transit.asked import model_sweep as asked_for
    from orchestrator.transit.run import run_model_sweep

    wanted = asked_for(asked | {"model": model})
    quiet = wanted.disable_progress_bar
    with alive("measuring models in transit"):
        outcome = run_model_sweep(wanted, lambda words: None if quiet else say(words, stderr=True))
    show_models(outcome, as_json=json)
    raise typer.Exit(outcome.exit_code)


@models_app.command()
@grouped(InputWords, ModelWords, LinkWords, ImpairmentWords, NodeWords)
def increments(
    asked: Asked,
    model: Model = None,
    low_bits: Annotated[int, option("Of a weight, at first: 4, 6 or 8. [8]", "Increments")] = 8,
    high_bits: Annotated[int, option("In the end: 6, 8 or 16. [16]", "Increments")] = 16,
    progressive: Annotated[
        str | None, option("All steps instead, as 4,6,8,16.", "Increments")
    ] = None,
    frames: Annotated[
        int | None, option("Of the input, at most, that models are judged on. [100]", "Input")
    ] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Send nothing.")] = False,
    out: Annotated[Path | None, option("Folder. [runs/increments-MODEL-TIME]")] = None,
    json: Json = False,
) -> None:
    """Send a coarse model first and refine it, against all of it at once (clause 10.6)."""
    from orchestrator.cli.show.increments import show_increments
    from orchestrator.transit.asked import incremental
    from orchestrator.transit.incremental import run_incremental

    bits = progressive or f"{low_bits},{high_bits}"
    own = {"model": model, "accuracy_frames": frames}
    wanted = incremental(asked | own, bits, offline=offline, out=out)
    with alive("measuring a model in increments"):
        outcome = run_incremental(wanted, lambda words: say(words, stderr=True))
    show_increments(outcome, as_json=json)
    raise typer.Exit(outcome.exit_code)
