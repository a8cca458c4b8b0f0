"""The commands of `orchestrate` that look: at this machine, and at what there is to run."""

from pathlib import Path
from typing import Annotated

import typer

from orchestrator.api.options import InputWords, ModelWords, SplitWords
from orchestrator.cli.groups import Asked, grouped
from orchestrator.cli.options import MODEL, Frames, Json, Model, option
from splitbed.command import Commands

look_app = Commands()


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
@grouped(SplitWords, ModelWords, split="As for sweep. [all]")
def splits(
    asked: Asked,
    model: Annotated[str, typer.Argument(help=MODEL)],
    json: Json = False,
) -> None:
    """List a model's cuts: what crosses, and what each side computes."""
    from orchestrator.api.asking import asked as asked_of
    from orchestrator.cli import splits as look

    look.splits(asked_of(model, {"split": "all"} | asked), as_json=json)


@look_app.command()
@grouped(InputWords, ModelWords)
def features(
    asked: Asked,
    split: Annotated[str, option("One cut: a label, k:n-k, NODE:before or NODE:after.")],
    out: Annotated[Path, option("FOLDER for a picture of each tensor.")],
    model: Model = None,
    frames: Frames = None,
    json: Json = False,
) -> None:
    """Paint the feature maps that cross a cut."""
    from orchestrator.api.asking import asked as asked_of
    from orchestrator.cli import listings as look

    look.features(asked_of(model, asked | {"split": split}), out, frames or 1, as_json=json)


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
