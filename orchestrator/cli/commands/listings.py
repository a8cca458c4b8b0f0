"""The commands of `orchestrate` that list what there is to run, and where it can be cut."""

from pathlib import Path
from typing import Annotated

import typer

from orchestrator.api.options import InputWords, ModelWords, SplitWords
from orchestrator.cli.groups import Asked, grouped
from orchestrator.cli.options import MODEL, Frames, Json, Model, option
from splitbed.command import Commands

listings_app = Commands()


@listings_app.command()
def models(json: Json = False) -> None:
    """List the anchor models."""
    from orchestrator.cli.show import catalogues

    catalogues.models(as_json=json)


@listings_app.command()
@grouped(SplitWords, ModelWords, split="As for sweep. [all]")
def splits(
    asked: Asked,
    model: Annotated[str, typer.Argument(help=MODEL)],
    json: Json = False,
) -> None:
    """List a model's cuts: what crosses, and what each side computes."""
    from orchestrator.api.asking import config_of
    from orchestrator.cli.show.splits import show_splits

    show_splits(config_of(model, {"split": "all"} | asked), as_json=json)


@listings_app.command()
@grouped(InputWords, ModelWords)
def features(
    asked: Asked,
    split: Annotated[str, option("One cut: a label, k:n-k, NODE:before or NODE:after.")],
    out: Annotated[Path, option("FOLDER for a picture of each tensor.")],
    model: Model = None,
    frames: Frames = None,
    codec: Annotated[str | None, option("Paint what it decodes, too, and what it lost.")] = None,
    calibration: Annotated[
        str | None, option("Frames that the codec is calibrated on, a list, as for sweep.")
    ] = None,
    json: Json = False,
) -> None:
    """Paint the feature maps that cross a cut."""
    from orchestrator.api.asking import config_of
    from orchestrator.cli.show.features import show_features

    config = config_of(model, asked | {"split": split, "calibration": calibration})
    show_features(config, out, frames or 1, codec, as_json=json)


@listings_app.command()
def links(json: Json = False) -> None:
    """List the named link profiles."""
    from orchestrator.cli.show import catalogues

    catalogues.links(as_json=json)


@listings_app.command()
def codecs(json: Json = False) -> None:
    """List the codecs, and the stages that they are made of."""
    from orchestrator.cli.show import catalogues

    catalogues.codecs(as_json=json)


@listings_app.command()
def coders(json: Json = False) -> None:
    """List the coders of model data, and the stages that they are made of."""
    from orchestrator.cli.show import catalogues

    catalogues.coders(as_json=json)


@listings_app.command()
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
    from orchestrator.cli.show import catalogues
    from orchestrator.cli.show.download import get_dataset
    from splitbed.errors import UsageError

    if get is not None:
        get_dataset(get, sha256 or (), unchecked=unchecked)
    elif sha256 or unchecked:
        raise UsageError("--sha256 and --unchecked are for --get NAME: name the dataset")
    else:
        catalogues.datasets(as_json=json)
