"""What a model says of pictures: its results, drawn where that is asked, and judged."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from orchestrator.config import SweepConfig
from orchestrator.local import LocalInput, LocalModel
from splitbed.errors import UsageError
from splitbed.media.drawing import check_drawing, draw
from splitbed.metrics.keypoints import keypoint_precision
from splitbed.tensors import Tensors


def infer(local: LocalModel, out: Path | None) -> Iterator[tuple[LocalInput, Tensors, int | None]]:
    """Each input with its results, and how many of these were drawn.

    One picture is drawn as the file `out`, several into the folder `out` under their names.
    Raises UsageError for a picture that is damaged and for what cannot be drawn.
    """
    model = local.model
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
    if inputs == 1 and not out.is_dir():
        return out
    try:
        out.mkdir(exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"--draw {out}: cannot make the folder for {inputs} pictures: {error.strerror}"
        ) from None
    return out / f"{Path(given.name).stem}.png"


def average_precision(
    config: SweepConfig, local: LocalModel, annotations: Path, results: dict[str, Tensors]
) -> dict[str, float]:
    """COCO's numbers of the results against the file `annotations`; UsageError where it is none."""
    if local.model.task != "pose":
        raise UsageError(
            f"--annotations {annotations}: precision is computed of key points, which "
            f"{config.model} does not give"
        )
    return keypoint_precision(annotations, results, local.model.graph.inputs)


def as_lists(results: Tensors) -> dict[str, object]:
    """Results as JSON takes them."""
    return {name: np.asarray(array).tolist() for name, array in results.items()}
