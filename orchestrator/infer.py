"""What a model says of pictures: its results, drawn where that is asked, and judged."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from orchestrator.local import LocalInput, LocalModel
from splitbed.errors import UsageError
from splitbed.media.drawing import DRAWING_FORMATS, check_drawing, draw
from splitbed.media.pictures import Picture
from splitbed.metrics.keypoints import keypoint_precision
from splitbed.tensors import Tensors


def infer(local: LocalModel, out: Path | None) -> Iterator[tuple[LocalInput, Tensors, int | None]]:
    """Each input with its results, and how many of these were drawn.

    One picture is drawn as the file `out`, several into the folder `out` under their names.
    Raises UsageError for a picture that is damaged and for what cannot be drawn.
    """
    model = local.model
    for given in local.inputs:  # refuse them now, not when some are drawn
        given.check()
    places = {given.name: _place(given, out, len(local.inputs)) for given in local.inputs}
    for place in places.values():
        if place is not None:
            check_drawing(model.task, place)
    with local.whole() as session:
        for given in local.inputs:
            results = model.info.result_of(session.run(given.tensors))
            drawn, place = None, places[given.name]
            if place is not None and given.picture is not None:
                picture = given.picture.read()
                drawn = draw(picture, results, model.graph.inputs, model.task, place, given.name)
            yield given, results, drawn


def _place(given: LocalInput, out: Path | None, inputs: int) -> Path | None:
    if out is None:
        return None
    if given.picture is None:
        raise UsageError(f"--draw {out}: {given.model.name} takes no picture to draw on")
    if given.model.task == "tensors":
        raise UsageError(
            f"--draw {out}: what the outputs of a file mean is not known; where it is a model of "
            "the zoo, say so: --model posenet --weights FILE"
        )
    if inputs > 1 and out.suffix.lower() in DRAWING_FORMATS and not out.is_dir():
        raise UsageError(f"--draw {out} is one picture, {inputs} were given: name a folder")
    if inputs == 1 and not out.is_dir():
        return _other(given.picture, out)
    try:
        out.mkdir(exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"--draw {out}: cannot make the folder for {inputs} pictures: {error.strerror}"
        ) from None
    return _other(given.picture, out / drawing_name(given.name))


def drawing_name(picture: str) -> str:
    """The picture's own name, where drawings are saved in its format, else with .png behind it."""
    return picture if Path(picture).suffix.lower() in DRAWING_FORMATS else f"{picture}.png"


def _other(picture: Picture, place: Path) -> Path:
    if place.exists() and place.samefile(picture.path):
        raise UsageError(f"--draw {place} would overwrite the picture itself: choose another place")
    return place


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
