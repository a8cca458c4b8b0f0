"""What a model says of pictures: its results, drawn where that is asked, and judged."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from orchestrator.measure.accuracy import Judge
from orchestrator.testbed.inputs import ModelInput
from orchestrator.testbed.local import LocalModel
from splitbed.errors import UsageError
from splitbed.media.drawing import DRAWING_FORMATS, MIN_BOX_SCORE, check_drawing, draw, paint
from splitbed.media.drawn_video import check_drawn_video, write_video
from splitbed.media.pictures import upright
from splitbed.metrics.keypoints import keypoint_precision
from splitbed.tasks import TASKS
from splitbed.tasks.boxes import boxes_of, write_boxes
from splitbed.tensors import Tensors

VIDEO_SUFFIX = ".mp4"
USUAL_RATE_HZ = 25.0

Found = tuple[ModelInput, Tensors, int | None]
"""An input, its results, and how many of these were drawn."""


def infer(local: LocalModel, out: Path | None, rate_hz: float | None = None) -> Iterator[Found]:
    """Each input with its results, and how many of these were drawn, over the ground truth.

    One picture is drawn as the file `out`, several into the folder `out` under their names, or
    as the frames of the video `out`, an .mp4 of `rate_hz`. Raises UsageError for a picture or
    ground truth that is damaged, and for what cannot be drawn.
    """
    for given in local.inputs:  # refuse them now, not when some are drawn
        given.check()
    if out is not None and out.suffix.lower() == VIDEO_SUFFIX and not out.is_dir():
        return iter(_filmed(local, out, rate_hz or USUAL_RATE_HZ))
    return _drawn(local, _places(local, out))


def _results(local: LocalModel) -> Iterator[tuple[ModelInput, Tensors]]:
    with local.whole() as session:
        for given in local.inputs:
            yield given, local.model.info.result_of(session.run(given.tensors))


def _drawn(local: LocalModel, places: Mapping[str, Path]) -> Iterator[Found]:
    model = local.model
    for given, results in _results(local):
        drawn, place = None, places.get(given.name)
        if place is not None and given.frame is not None:
            picture, truth = given.frame.read(), given.boxes
            inputs = model.graph.inputs
            drawn = draw(picture, results, inputs, model.task, place, given.name, truth)
        yield given, results, drawn


def _filmed(local: LocalModel, out: Path, rate_hz: float) -> list[Found]:
    """All of them, once the video is written."""
    _check_drawable(local, out)
    check_drawn_video(out)
    classes = TASKS[local.model.task].classes
    if not classes:
        raise UsageError(f"--draw {out}: only boxes are painted on videos: name a folder")
    found: list[Found] = []

    def painted() -> Iterator[Image.Image]:
        for given, results in _results(local):
            assert given.frame is not None
            image = upright(given.frame.read(), given.name).convert("RGB")
            boxes = boxes_of(results, classes, *image.size, MIN_BOX_SCORE)
            paint(image, boxes, given.boxes, classes)
            found.append((given, results, len(boxes)))
            yield image

    write_video(painted(), out, rate_hz)
    return found


def _check_drawable(local: LocalModel, out: Path) -> None:
    name, task = local.model.name, local.model.task
    if local.model.picture_at(0) is None or any(one.frame is None for one in local.inputs):
        raise UsageError(f"--draw {out}: {name} takes no picture to draw on")
    if task == "tensors":
        raise UsageError(
            f"--draw {out}: what the outputs of a file mean is not known; where it is a model of "
            "the zoo, say so: --model posenet --weights FILE"
        )
    for given in local.inputs:
        _check_other(given, out)


def _places(local: LocalModel, out: Path | None) -> dict[str, Path]:
    """Where each input is drawn, by its name."""
    if out is None:
        return {}
    _check_drawable(local, out)
    count = len(local.inputs)
    if count > 1 and out.suffix.lower() in DRAWING_FORMATS and not out.is_dir():
        raise UsageError(
            f"--draw {out} is one picture, {count} were given: name a folder or an {VIDEO_SUFFIX}"
        )
    if count == 1 and not out.is_dir():
        places = {local.inputs[0].name: out}
    else:
        places = {given.name: out / drawing_name(given.name) for given in local.inputs}
        _make(out, f"--draw {out}: cannot make the folder for {count} pictures")
    for given in local.inputs:
        _check_other(given, places[given.name])
        check_drawing(local.model.task, places[given.name])
    return places


def _check_other(given: ModelInput, place: Path) -> None:
    source = Path(given.frame.source) if given.frame else None
    if source and place.is_file() and source.exists() and place.samefile(source):
        raise UsageError(f"--draw {place} would overwrite the picture itself: choose another place")


def _make(folder: Path, refusal: str) -> None:
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise UsageError(f"{refusal}: {error.strerror}") from None


def drawing_name(picture: str) -> str:
    """The picture's own name, where drawings are saved in its format, else with .png behind it."""
    return picture if Path(picture).suffix.lower() in DRAWING_FORMATS else f"{picture}.png"


def judge_of(local: LocalModel, results: Mapping[str, Tensors]) -> Judge:
    """Judges the results of all the inputs; `results` are the whole model's, by name."""
    model = replace(local.model, inputs=local.inputs, others=())
    return Judge(model, {place: results[one.name] for place, one in enumerate(local.inputs)})


def check_predictions(folder: Path, local: LocalModel) -> None:
    """Raise UsageError unless boxes can be written into `folder`."""
    if not TASKS[local.model.task].classes:
        raise UsageError(f"--predictions {folder}: {local.model.name} gives no boxes to write")
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise UsageError(f"--predictions {folder} is not an empty folder: choose another")


def write_predictions(folder: Path, judge: Judge, results: Mapping[str, Tensors]) -> None:
    """Write a file per input, whose lines are `label confidence x y w h` (clause 2.1.1.1)."""
    _make(folder, f"--predictions {folder}: cannot make the folder")
    for place, (name, found) in enumerate(results.items()):
        file = folder / f"{name}.txt"
        try:
            file.write_text(write_boxes(judge.boxes(place, found) or []))
        except OSError as error:
            raise UsageError(f"--predictions: cannot write {file}: {error.strerror}") from None


def check_annotations(annotations: Path, local: LocalModel) -> None:
    """Raise UsageError unless precision can be computed by `annotations` of all the inputs."""
    if local.model.task != "pose":
        raise UsageError(
            f"--annotations {annotations}: precision is computed of key points, which "
            f"{local.model.name} does not give"
        )
    nobody: Tensors = {
        "keypoints": np.zeros((0, 17, 2), np.float32),
        "keypoint_scores": np.zeros((0, 17), np.float32),
        "scores": np.zeros(0, np.float32),
    }
    results = {one.name: nobody for one in local.inputs}
    keypoint_precision(annotations, results, local.model.graph.inputs)


def as_lists(results: Tensors) -> dict[str, object]:
    """Results as JSON takes them."""
    return {name: _finite(array).tolist() for name, array in results.items()}


def _finite(array: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    return np.nan_to_num(array) if array.dtype.kind == "f" else array  # JSON has no infinity
