"""The commands of `orchestrate` that look: at this machine, and at what there is to run."""

from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.options import (
    MODEL,
    Frames,
    Input,
    Json,
    Model,
    Runtime,
    Seed,
    Shape_,
    Split,
    Weights,
    Width,
    asked,
    option,
)

look_app = typer.Typer()


@look_app.command()
def doctor(json: Json = False) -> None:
    """Say what this machine can do, which link it will use, and what to install for more."""
    from orchestrator.cli import listings as look

    raise typer.Exit(look.doctor(as_json=json))


@look_app.command()
def models(json: Json = False) -> None:
    """List the anchor models."""
    from orchestrator.cli import listings as look

    look.models(as_json=json)


@look_app.command()
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
    from orchestrator.cli import splits as look

    look.splits(asked(context, "json", split="all"), as_json=json)


@look_app.command()
def features(
    context: typer.Context,
    split: Annotated[str, option("One cut: a label, k:n-k, NODE:before or NODE:after.")],
    out: Annotated[Path, option("FOLDER for a picture of each tensor.")],
    model: Model = None,
    input: Input = None,  # noqa: A002
    frames: Frames = None,
    weights: Weights = None,
    width: Width = None,
    runtime: Runtime = None,
    shape: Shape_ = None,
    seed: Seed = None,
    json: Json = False,
) -> None:
    """Paint the feature maps that cross a cut."""
    from orchestrator.cli import listings as look

    config = asked(context, "out", "frames", "json")
    look.features(config, out, frames or 1, as_json=json)


@look_app.command()
def links(json: Json = False) -> None:
    """List the named link profiles."""
    from orchestrator.cli import listings as look

    look.links(as_json=json)


@look_app.command()
def codecs(json: Json = False) -> None:
    """List the codecs, and the stages that they are made of."""
    from orchestrator.cli import listings as look

    look.codecs(as_json=json)


@look_app.command()
def datasets(
    get: Annotated[str | None, option("NAME of the dataset to download and unpack.")] = None,
    sha256: Annotated[
        list[str] | None, option("Of its archives in their order, once for each.")
    ] = None,
    unchecked: Annotated[
        bool, typer.Option("--unchecked", help="Take an archive that no hash is known of.")
    ] = False,
    json: Json = False,
) -> None:
    """List the datasets and how to get them; or get one."""
    from orchestrator.cli import listings as look
    from splitbed.errors import UsageError

    if get is not None:
        look.get_dataset(get, sha256 or (), unchecked=unchecked)
    elif sha256 or unchecked:
        raise UsageError("--sha256 and --unchecked are for --get NAME: name the dataset")
    else:
        look.datasets(as_json=json)


@look_app.command()
def clean() -> None:
    """Remove what killed runs left behind: this tool's own, and nothing of a run that lives."""
    from orchestrator.cli import listings as look

    look.clean()
