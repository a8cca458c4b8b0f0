"""The commands of `orchestrate` that run a model here, without a link."""

from pathlib import Path
from typing import Annotated

import typer

from orchestrator.api.options import InputWords, ModelWords, SplitWords
from orchestrator.cli.groups import Asked, grouped
from orchestrator.cli.options import Frames, Json, Model, option
from splitbed.command import Commands

local_app = Commands()


@local_app.command()
@grouped(SplitWords, ModelWords, split="As for sweep. [all]")
def verify(
    asked: Asked,
    model: Model = None,
    images: Annotated[
        str | None, option("Picture, video, FOLDER or dataset (orchestrate datasets).", "Input")
    ] = None,
    out: Annotated[Path | None, option("CSV with a row per picture and split.")] = None,
    json: Json = False,
) -> None:
    """Hold every split against the whole model, picture by picture (clause 10.2.8)."""
    from orchestrator.api.asking import asked as asked_of
    from orchestrator.cli.commands import run_verify

    config = asked_of(model, {"split": "all", "input": images} | asked)
    raise typer.Exit(run_verify(config, out, as_json=json))


@local_app.command()
@grouped(InputWords, ModelWords)
def infer(
    asked: Asked,
    model: Model = None,
    frames: Frames = None,
    draw: Annotated[
        Path | None, option("Picture to draw a copy as, or video (.mp4); FOLDER for many.")
    ] = None,
    predictions: Annotated[
        Path | None, option("FOLDER for the boxes: NAME.txt, label confidence x y w h.")
    ] = None,
    annotations: Annotated[
        Path | None, option("COCO key points as JSON: average precision.")
    ] = None,
    json: Json = False,
) -> None:
    """Run the whole model here; draw and judge what it found."""
    from orchestrator.api.asking import asked as asked_of
    from orchestrator.api.infer import run_infer
    from orchestrator.cli.commands import inference_json, show_inference
    from orchestrator.reports.terminal import say

    config = asked_of(model, asked)
    found = run_infer(config, frames, draw, predictions, annotations)
    if found.no_accuracy:
        say(f"no accuracy: {found.no_accuracy}", stderr=True)
    if json:
        typer.echo(inference_json(found))
    else:
        show_inference(found, config.model, {"drawn": draw, "boxes": predictions})


@local_app.command()
@grouped(InputWords, SplitWords, ModelWords, split="As for sweep. [named]")
def rd(
    asked: Asked,
    model: Model = None,
    codecs: Annotated[
        str | None,
        option("At the splits, a list; avc is a ladder, avc:30 a point. [raw]", "Codecs"),
    ] = None,
    input_codecs: Annotated[str | None, option("Of the input, likewise. [raw]", "Codecs")] = None,
    calibration: Annotated[
        str | None, option("Frames that codecs are calibrated on, as for --input.", "Codecs")
    ] = None,
    bw: Annotated[str | None, option("Mbit/s, a list, for bounds. [5,20,100]", "Link")] = None,
    frames: Annotated[int | None, option("Measured, the first of the input. [50]", "Run")] = None,
    fps: Annotated[float | None, option("Frames a second, for bit rates. [30]", "Run")] = None,
    anchor: Annotated[
        str | None, option("Curve that BD-rates are against. [the input's first ladder]", "Run")
    ] = None,
    out: Annotated[Path | None, option("Folder. [runs/rd-MODEL-TIME]", "Run")] = None,
    json: Json = False,
) -> None:
    """Hold codecs' rate against accuracy and latency, here, without a link."""
    from orchestrator.api.asking import asked as asked_of
    from orchestrator.offline.run import run_rd

    own = {"codec": codecs, "input_codec": input_codecs, "calibration": calibration, "bw": bw}
    more = {"runs": 50 if frames is None else frames, "fps": fps, "out": out}
    raise typer.Exit(run_rd(asked_of(model, asked | own | more), anchor, as_json=json))
