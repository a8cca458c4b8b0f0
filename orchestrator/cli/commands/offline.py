"""The commands of `orchestrate` that need no link."""

from json import dumps
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.api.options import InputWords, ModelWords, SplitWords
from orchestrator.cli.groups import Asked, grouped
from orchestrator.cli.options import Frames, Images, Json, Model, option
from orchestrator.cli.watch.heartbeat import alive
from splitbed.command import Commands, say

offline_app = Commands()
CALL_CODEC = "avc-inter:22"


@offline_app.command()
@grouped(SplitWords, ModelWords, split="As for sweep. [all]")
def verify(
    asked: Asked,
    model: Model = None,
    images: Images = None,
    out: Annotated[Path | None, option("CSV with a row per picture and split.")] = None,
    json: Json = False,
) -> None:
    """Hold every split against the whole model, picture by picture (clause 10.2.8)."""
    from orchestrator.api.asking import config_of
    from orchestrator.cli.show.verify import run_verify

    config = config_of(model, {"split": "all", "input": images} | asked)
    with alive("verifying"):
        code = run_verify(config, out, as_json=json)
    raise typer.Exit(code)


@offline_app.command()
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
    from orchestrator.api.asking import config_of
    from orchestrator.api.infer import run_infer
    from orchestrator.cli.show.inference import inference_json, show_inference

    config = config_of(model, asked)
    with alive("running the model"):
        found = run_infer(config, frames, draw, predictions, annotations)
    if found.no_accuracy:
        say(f"no accuracy: {found.no_accuracy}", stderr=True)
    if json:
        typer.echo(inference_json(found))
    else:
        show_inference(found, config.model, {"drawn": draw, "boxes": predictions})


@offline_app.command()
@grouped(
    *(InputWords, SplitWords, ModelWords),
    split="As for sweep. [named]",
    input="As for sweep, or several to be judged together: shapes:11,shapes:12,VIDEO.",
)
def rd(
    asked: Asked,
    model: Model = None,
    codecs: Annotated[
        str | None,
        option("At the splits, a list; avc is a ladder, avc:30 a point. [raw]", "Codecs"),
    ] = None,
    input_codecs: Annotated[str | None, option("Of the input, likewise. [raw]", "Codecs")] = None,
    target_drop: Annotated[
        float | None, option("Of accuracy: a point of each ladder for it, besides.", "Codecs")
    ] = None,
    target_kbit: Annotated[float | None, option("Of a frame, likewise.", "Codecs")] = None,
    calibration: Annotated[
        str | None, option("Frames that codecs are calibrated on, likewise several.", "Codecs")
    ] = None,
    bw: Annotated[str | None, option("Mbit/s, a list, for bounds. [5,20,100]", "Link")] = None,
    frames: Annotated[
        int | None,
        option("Measured, the first of each input. [50]", "Run", least=3),
    ] = None,
    fps: Annotated[float | None, option("Frames a second, for bit rates. [30]", "Run")] = None,
    anchor: Annotated[
        str | None,
        option("Curves that BD-rates are against, a list. [the input's best ladder]", "Run"),
    ] = None,
    pareto: Annotated[
        bool, option("BD-rates by each curve's Pareto points: noise bends the others.", "Run")
    ] = False,
    out: Annotated[Path | None, option("Folder. [runs/rd-MODEL-TIME]", "Run")] = None,
    json: Json = False,
) -> None:
    """Hold codecs' rate against accuracy and latency, here, without a link."""
    from orchestrator.api.asking import config_of
    from orchestrator.offline.run import run_rd
    from splitbed.codecs import joined

    own = {"codec": codecs, "input_codec": input_codecs, "calibration": calibration, "bw": bw}
    target = {"target_drop": target_drop, "target_kbit": target_kbit}
    more = {"runs": 50 if frames is None else frames, "fps": fps, "out": out}
    anchors = joined(one.strip() for one in anchor.split(",")) if anchor else []
    with alive("measuring codecs"):
        config = config_of(model, asked | own | target | more)
        code = run_rd(config, anchors, best=pareto, as_json=json)
    raise typer.Exit(code)


@offline_app.command()
@grouped(InputWords, ModelWords)
def call(
    asked: Asked,
    model: Model = None,
    input_codecs: Annotated[
        str | None, option("Of what is sent, as for rd. [avc-inter:22]", "Codecs")
    ] = None,
    output_codecs: Annotated[
        str | None, option("Of what the network makes, as for rd. [avc-inter:22]", "Codecs")
    ] = None,
    frames: Annotated[int | None, option("The first of the input. [30]", "Run", least=3)] = None,
    fps: Annotated[float | None, option("Frames a second, for bit rates. [30]", "Run")] = None,
    out: Annotated[Path | None, option("CSV with a row for each way.", "Run")] = None,
    json: Json = False,
) -> None:
    """Hold ways of a video call against each other, without a link: bit rates, PSNR, SSIM, VMAF.

    Super-resolution in the network or on UE-B, bicubic upsampling there, or the source as it is
    (clause 10.5).
    """
    from orchestrator.api.asking import config_of
    from orchestrator.cli.show.call import run_call

    own = {"flow": "call", "runs": 30 if frames is None else frames, "fps": fps}
    own["input_codec"] = input_codecs or CALL_CODEC
    own["output_codec"] = output_codecs or CALL_CODEC
    with alive("holding the call"):
        run_call(config_of(model or "espcn", asked | own), out, as_json=json)


@offline_app.command()
@grouped(InputWords, ModelWords)
def cut(
    asked: Asked,
    split: Annotated[str, option("One cut: a label, k:n-k, NODE:before or NODE:after.")],
    out: Annotated[Path, option("FOLDER for both parts.")],
    model: Model = None,
    frames: Frames = None,
    json: Json = False,
) -> None:
    """Write both parts of a cut as model files; with --input, what crosses it, as .npz."""
    from orchestrator.api.asking import config_of
    from orchestrator.offline.cutting import cut
    from orchestrator.testbed.local import local_model

    config = config_of(model, asked | {"split": split})
    with alive("cutting"), local_model(config) as local:
        given = local.inputs[: frames or 1] if config.input else ()
        made = cut(config, local, given, out)
    if json:
        typer.echo(dumps(vars(made), default=str, indent=2))
        return
    for what, files in (("part 1", [made.part1]), ("part 2", [made.part2])):
        say(f"{what}: {files[0]}, {files[0].stat().st_size / 1e6:.3f} MB")
    if made.around:
        say(f"fed to part 2 as part 1 is, going around it: {', '.join(made.around)}")
    for file in made.crossing:
        say(f"crosses: {file}, {file.stat().st_size / 1e6:.3f} MB")


Predictions = Annotated[Path, typer.Argument(help="FOLDER of predictions, a .txt a picture.")]
ColumnsOf = Annotated[
    str,
    option(
        "Clause that has them: 2.1.1.1 (label confidence x y w h), or 10.3.8 (label left top "
        "right bottom confidence). [2.1.1.1]"
    ),
]


@offline_app.command()
def score(
    predictions: Predictions,
    truth: Annotated[
        str, typer.Argument(help="FOLDER of ground truth, label x y w h; or a dataset.")
    ],
    columns: ColumnsOf = "2.1.1.1",
    threshold: Annotated[
        float, option("Least confidence for precision, recall, F1 and overlap. [0.5]")
    ] = 0.5,
    every: Annotated[
        bool, typer.Option("--all", help="Count pictures without a file, as of nothing found.")
    ] = False,
    json: Json = False,
) -> None:
    """Say how well predictions in files find the objects (clause 6): average precision and more."""
    from orchestrator.offline import predictions as folders
    from orchestrator.reports.terminal import rounded, show_lines

    boxes = folders.read_predictions(predictions, folders.columns_named(columns))
    real = folders.read_truth(truth)
    judged = real if every else folders.covered(boxes, real)
    if missing := len(real) - len(judged):
        say(
            f"{missing} of {len(real)} pictures have no file in {predictions} and are left out: "
            "--all counts them, as of nothing found",
            stderr=True,
        )
    found = folders.score(boxes, judged, threshold)
    classes = [{"class": name, **one.row()} for name, one in found.classes.items()]
    together = {"objects": found.objects, "boxes": found.boxes, **found.row()}
    if json:
        typer.echo(dumps({**together, "classes": classes, "reason": found.reason}, indent=2))
        return
    show_lines([rounded(together)], as_json=False)
    show_lines([rounded(one) for one in classes], as_json=False)
    if found.reason:
        say(found.reason)


@offline_app.command()
def draw(
    predictions: Predictions,
    pictures: Annotated[
        str, typer.Argument(help="What they are of: a picture, video, FOLDER or dataset.")
    ],
    out: Annotated[Path, option("FOLDER for the painted pictures, or a video (.mp4).")],
    truth: Annotated[
        str | None, option("FOLDER of ground truth, to paint as well. [that of the pictures]")
    ] = None,
    columns: ColumnsOf = "2.1.1.1",
    threshold: Annotated[float, option("Least confidence of what is painted. [0.4]")] = 0.4,
) -> None:
    """Paint predictions in files, and the ground truth, onto the pictures that they are of."""
    from orchestrator.offline import predictions as folders
    from splitbed.media.datasets import open_dataset

    found = folders.read_predictions(predictions, folders.columns_named(columns))
    real = None if truth is None else folders.read_truth(truth)
    with alive("painting"):
        count = folders.draw(open_dataset(pictures), found, real, out, threshold)
    say(f"{count} pictures painted: {out}")
