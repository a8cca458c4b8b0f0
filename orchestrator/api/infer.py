"""What the whole model says of pictures, for programs: its results, drawn and judged."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Unpack

from orchestrator.api.asking import config_of
from orchestrator.api.options import Place
from orchestrator.api.options.words import InferWords
from orchestrator.api.signature import spelled_out
from orchestrator.api.torch_model import ModelLike, model_file
from orchestrator.ask.sweep.config import SweepConfig
from orchestrator.measure.accuracy import Judge, check_classes
from orchestrator.offline.infer import (
    VIDEO_SUFFIX,
    check_annotations,
    check_predictions,
    judge_of,
    write_predictions,
)
from orchestrator.offline.infer import infer as results_of
from orchestrator.results.records import Accuracy
from orchestrator.testbed.local import LocalModel, local_model
from splitbed.errors import UsageError
from splitbed.metrics.keypoints import keypoint_precision
from splitbed.tensors import Tensors


@dataclass(frozen=True)
class Inference:
    """The results of every input by its name, and how many of these were drawn.

    `precision` is of key points against annotations, `accuracy` against the ground truth; None
    where there is none, which `no_accuracy` explains.
    """

    weights: str
    results: Mapping[str, Tensors]
    drawn: Mapping[str, int | None]
    precision: Mapping[str, float] | None = None
    accuracy: Accuracy | None = None
    no_accuracy: str = ""


@spelled_out(InferWords)
def infer(
    model: ModelLike | None = None,
    *,
    example_inputs: object = None,
    frames: int | None = None,
    draw: Place | None = None,
    predictions: Place | None = None,
    annotations: Place | None = None,
    **options: Unpack[InferWords],
) -> Inference:
    """Run the whole model here; draw and judge what it found; `orchestrate infer` says more.

    `frames` are those of the input at most, `draw` a picture, a video or a folder, `predictions` a
    folder for boxes, `annotations` COCO key points. Raises UsageError.
    """
    places = (None if place is None else Path(place) for place in (draw, predictions, annotations))
    return run_infer(config_of(model_file(model, example_inputs), options), frames, *places)


def run_infer(
    config: SweepConfig,
    frames: int | None = None,
    draw: Path | None = None,
    predictions: Path | None = None,
    annotations: Path | None = None,
) -> Inference:
    """As :func:`infer`."""
    kept: dict[str, Tensors] = {}
    drawn: dict[str, int | None] = {}
    with local_model(config) as every:
        local = replace(every, inputs=every.inputs[:frames])
        if annotations:
            check_annotations(annotations, local)
        if predictions:
            check_predictions(predictions, local)
        for given, results, count in results_of(local, draw, _rate_hz(local, draw)):
            kept[given.name], drawn[given.name] = results, count
        inputs = local.model.graph.inputs
        precision = keypoint_precision(annotations, kept, inputs) if annotations else None
        judge = judge_of(local, kept)
        if predictions:
            write_predictions(predictions, judge, kept)
        accuracy, why = _accuracy(local, judge)
        weights = local.model.facts.weights
    return Inference(weights, kept, drawn, precision, accuracy, why)


def _rate_hz(local: LocalModel, out: Path | None) -> float | None:
    """Of the frames that are to be drawn as a video."""
    as_video = out is not None and out.suffix.lower() == VIDEO_SUFFIX
    return local.model.rate_hz if as_video else None


def _accuracy(local: LocalModel, judge: Judge) -> tuple[Accuracy | None, str]:
    """Against the ground truth; else why there is none of the model's classes."""
    if not judge.has_truth:
        return None, ""
    try:
        check_classes(replace(local.model, inputs=local.inputs, others=()))
    except UsageError as error:
        return None, str(error)
    return judge.whole, ""
