"""The commands of `orchestrate` about models in transit."""

from pathlib import Path
from typing import Annotated

import typer

from orchestrator.api.options import (
    ImpairmentWords,
    InputWords,
    LinkWords,
    ModelWords,
    NodeWords,
    SplitWords,
)
from orchestrator.api.options.transit import GrowWords, IncrementWords, TransitWords
from orchestrator.cli.groups import Asked, grouped
from orchestrator.cli.options import MODEL, Json, Model, option
from orchestrator.cli.watch.heartbeat import alive
from splitbed.command import Commands, say

models_app = Commands()
Resume = Annotated[Path | None, option("Go on with this run folder; takes no other option.")]
_AS_PUBLISHED = {"token_normalize_func": lambda word: word.replace("_", "-")}
"""Options may be typed as Table 2.1.2.2-1 has them: --coder_name."""
_MODEL = typer.Option(
    "--model", "--model-name", help=MODEL, show_default=False, rich_help_panel="Model"
)


@models_app.command("model-sweep", context_settings=_AS_PUBLISHED)
@grouped(TransitWords, ModelWords, LinkWords, ImpairmentWords, NodeWords)
def model_sweep(
    asked: Asked,
    model: Annotated[str | None, _MODEL] = None,
    resume: Resume = None,
    json: Json = False,
) -> None:
    """Send a model over every link, as coders compress it; judge what the UE has (clause 5.2)."""
    from orchestrator.api.models import sweep_or_resumed
    from orchestrator.cli.show.models import show_models
    from orchestrator.transit.run import run_model_sweep

    wanted = sweep_or_resumed(model, resume, asked)
    quiet = wanted.disable_progress_bar

    def told(words: str) -> None:
        if not quiet:
            say(words, stderr=True)

    with alive("measuring models in transit"):
        outcome = run_model_sweep(wanted, told, resume)
    show_models(outcome, as_json=json)
    raise typer.Exit(outcome.exit_code)


@models_app.command()
@grouped(IncrementWords, InputWords, ModelWords, LinkWords, ImpairmentWords, NodeWords)
def increments(
    asked: Asked, model: Model = None, resume: Resume = None, json: Json = False
) -> None:
    """Send a coarse model first and refine it, against all of it at once (clause 10.6)."""
    from orchestrator.api.models import increments_or_resumed, run_increments
    from orchestrator.cli.show.models import show_increments

    wanted = increments_or_resumed(model, resume, asked)
    with alive("measuring a model in increments"):
        outcome = run_increments(wanted, lambda words: say(words, stderr=True), resume)
    show_increments(outcome, as_json=json)
    raise typer.Exit(outcome.exit_code)


@models_app.command()
@grouped(GrowWords, InputWords, ModelWords, SplitWords, LinkWords, ImpairmentWords, NodeWords)
def grow(asked: Asked, model: Model = None, resume: Resume = None, json: Json = False) -> None:
    """Have part 1 come split by split while frames go on, each by the split that is possible."""
    from orchestrator.api.models import growth_or_resumed
    from orchestrator.cli.show.models import show_growth
    from orchestrator.transit.growth.run import run_growth

    config = growth_or_resumed(model, resume, asked)
    with alive("measuring splits while part 1 comes"):
        outcome = run_growth(config, lambda words: say(words, stderr=True), resume)
    show_growth(outcome, as_json=json)
    raise typer.Exit(outcome.exit_code)
