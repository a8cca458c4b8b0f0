"""What a cut and its codec cost in accuracy, by the metrics of clause 6.

Boxes are held against the ground truth, where there is any, else against those of the whole model,
as every other result is.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice

import numpy as np
from msgspec.structs import replace

from orchestrator.measure import texts
from orchestrator.measure.likeness import Sources, to_whole
from orchestrator.results.records import Accuracy
from orchestrator.testbed.inputs import ModelInput
from orchestrator.testbed.model import SweptModel
from splitbed.errors import UsageError
from splitbed.media.datasets.truth import class_named
from splitbed.metrics.images import ImageQuality, image_quality
from splitbed.metrics.resampling import MIN_PICTURES, Array, inner, mean_of, resamples
from splitbed.tasks import TASKS
from splitbed.tasks.boxes import Box, boxes_of
from splitbed.tensors import Tensors, nbytes_of

MIN_SCORE = 0.5
"""Above it a box counts for precision and recall, and as one of the whole model's."""
MOST_BYTES = 256_000_000
"""Of results that are held of one split and codec: of large ones, fewer frames are judged."""
NEAR_PX = 5.0
"""Key points are where the whole model has them, within this distance on its input."""


def held(results: Iterable[tuple[int, Tensors]]) -> dict[int, Tensors]:
    """The first of them, at least one, up to MOST_BYTES."""
    found: dict[int, Tensors] = {}
    nbytes = 0
    for place, result in results:
        nbytes += nbytes_of(result)
        if found and nbytes > MOST_BYTES:
            break
        found[place] = result
    return found


@dataclass(frozen=True)
class Judged:
    """An accuracy, and what it is of resamples of its pictures, where that can be told."""

    accuracy: Accuracy
    of: Callable[[Array], Array] | None

    def resampled(self, drawn: Array) -> Array | None:
        """What each of the resamples comes to; None where that cannot be told of every picture."""
        if self.of is None or self.accuracy.frames != drawn.shape[1]:
            return None
        return self.of(drawn)


def _with_drop(judged: Judged, whole: Judged, *, is_sequence: bool) -> Accuracy:
    """How far it falls short of the whole model, on the very same resamples of the pictures."""
    told, count = judged.accuracy, judged.accuracy.frames or 0
    if told.value is None or whole.accuracy.value is None:
        return told
    ends = None
    if judged.of and whole.of and count >= MIN_PICTURES:
        drawn = resamples(count, is_sequence=is_sequence)
        ends = inner(whole.of(drawn) - judged.of(drawn))
    low, high = ends or (None, None)
    drop = whole.accuracy.value - told.value
    return replace(told, drop=drop, drop_low=low, drop_high=high)


class Judge:
    """Judges results by input; ``whole`` is what the whole model makes of each.

    The inputs are those that are measured, unless others are given.
    """

    def __init__(
        self,
        model: SweptModel,
        whole: Mapping[int, Tensors],
        inputs: Sequence[ModelInput] | None = None,
    ) -> None:
        self._inputs = model.inputs if inputs is None else inputs
        self._task = model.task
        self._classes = TASKS[model.task].classes
        self._sequence = model.is_sequence
        self._names = model.classes if _outputs(model) == len(model.classes) else ()
        self._whole = whole
        self._sizes: dict[int, tuple[int, int]] = {}
        self._sources = Sources(self._inputs)
        self._whole_drawn: dict[tuple[int, ...], Judged] = {}
        self.has_truth = any(self._known(one) for one in self._inputs)

    def _known(self, one: ModelInput) -> bool:
        """Whether its boxes, or what should be said of it, are known."""
        if self._task in texts.JUDGES:
            return texts.is_known(self._task, one.frame)
        return bool(self._classes) and one.boxes is not None

    @property
    def whole(self) -> Accuracy:
        """What the whole model reaches."""
        return self.whole_of(len(self._whole))

    def whole_of(self, frames: int) -> Accuracy:
        """The same, on so many of the first inputs, or as many as are held at once."""
        judged = self.judged(held(islice(self._whole.items(), frames)))
        return _with_drop(judged, judged, is_sequence=self._sequence)

    def boxes(self, place: int, results: Tensors, min_score: float = 0.0) -> list[Box] | None:
        """The boxes in the results for an input, in pixels; None for what gives none."""
        if not self._classes or "boxes" not in results:
            return None
        if place not in self._sizes:
            self._sizes[place] = self._inputs[place].size
        return boxes_of(results, self._classes, *self._sizes[place], min_score)

    def judge(self, results: Mapping[int, Tensors]) -> Accuracy:
        """The accuracy of results by the places of their inputs, and how far it falls short."""
        places = tuple(results)
        if places not in self._whole_drawn:
            self._whole_drawn[places] = self.judged({one: self._whole[one] for one in places})
        whole, judged = self._whole_drawn[places], self.judged(results)
        return _with_drop(judged, whole, is_sequence=self._sequence)

    def judged(self, results: Mapping[int, Tensors]) -> Judged:
        """The accuracy of results by the places of their inputs, by itself, and of resamples."""
        if not all(results.values()) or not results:
            none = "none: the results are too large to be brought back"
            return Judged(Accuracy(none, None), None)
        if self._classes:
            return self._detection(results)
        if self._task in texts.JUDGES:
            return Judged(*texts.JUDGES[self._task](self._inputs, self._whole, results))
        judges = {
            "pose": self._pose,
            "classification": self._classification,
            "image": self._image,
            "super-resolution": self._upscaled,
        }
        return judges.get(self._task, self._regression)(results)

    def _detection(self, results: Mapping[int, Tensors]) -> Judged:
        from splitbed.metrics.detection import detection_accuracy
        from splitbed.metrics.tracking import tracking_accuracy

        truth, found = {}, {}
        for place, result in results.items():
            one = self._inputs[place]
            if self.has_truth and one.boxes is None:
                continue  # a frame that nobody annotated
            truth[one.name] = self._truth(place, one)
            found[one.name] = self.boxes(place, result) or []
        judged = detection_accuracy(truth, found, MIN_SCORE)
        more = dict(judged.row())
        if self._sequence:
            more |= tracking_accuracy(truth, found, MIN_SCORE).row()
        metric = "AP" if self.has_truth else "AP, the whole model's boxes as truth"
        told = Accuracy(metric, judged.ap, more, judged.class_row(), len(truth))
        return Judged(told, judged.resampled_ap)

    def _truth(self, place: int, one: ModelInput) -> list[Box]:
        if self.has_truth:
            return [_renamed(box, self._classes) for box in one.boxes or ()]
        whole = self.boxes(place, self._whole[place], MIN_SCORE) or []
        return [Box(box.label, box.x, box.y, box.w, box.h) for box in whole]

    def _pose(self, results: Mapping[int, Tensors]) -> Judged:
        moved = [
            np.linalg.norm(
                np.subtract(result["best_keypoints"], self._whole[place]["best_keypoints"]), axis=1
            )
            for place, result in results.items()
        ]
        near = np.array([np.mean(one <= NEAR_PX) for one in moved])
        metric = f"key points within {NEAR_PX:g} px of the whole model's"
        told = Accuracy(metric, float(np.mean(near)), frames=len(results))
        return Judged(told, partial(mean_of, near))

    def _classification(self, results: Mapping[int, Tensors]) -> Judged:
        from splitbed.metrics.classification import TOP, classification_accuracy

        known = {place: shown for place in results if (shown := self._shown(place)) is not None}
        metric = "accuracy"
        if not known:
            metric = "accuracy, the whole model's classes as truth"
            known = {place: self._labels(self._whole[place])[0] for place in results}
        told, truth = [self._labels(results[place]) for place in known], list(known.values())
        ranked = told if all(len(labels) >= TOP for labels in told) else None
        judged = classification_accuracy(truth, [labels[0] for labels in told], ranked)
        more = dict(judged.row())
        for true, row in zip(judged.labels, judged.confusion, strict=True):
            for given, count in zip(judged.labels, row, strict=True):
                if count:
                    more[f"confusion {true} as {given}"] = count
        right = np.array([true == labels[0] for true, labels in zip(truth, told, strict=True)])
        accuracy = Accuracy(metric, judged.accuracy, more, frames=len(truth))
        return Judged(accuracy, partial(mean_of, right.astype(np.float64)))

    def _shown(self, place: int) -> str | None:
        """The class of an input: of its boxes, too, where they have one that the model knows."""
        frame = self._inputs[place].frame
        if frame is None or frame.label is not None or not self._names:
            return frame.label if frame else None
        return frame.shows

    def _labels(self, result: Tensors) -> list[str]:
        """The classes, the likeliest first; the ground truth's names where it has as many."""
        names = self._names
        return [names[i] if i < len(names) else str(i) for i in result["labels"].tolist()]

    def _image(self, results: Mapping[int, Tensors]) -> Judged:
        found = [to_whole(self._whole[place], result) for place, result in results.items()]
        return _likeness("SSIM against the whole model", found)

    def _upscaled(self, results: Mapping[int, Tensors]) -> Judged:
        """Made pixels against the source, which has the high resolution."""
        judged = []
        for place, result in results.items():
            pixels = result["pixels"]
            source = self._sources.at(place, pixels.shape)
            if source is None:
                height, width, _ = pixels.shape
                few = f"none: {self._inputs[place].name} has fewer than {width}x{height} pixels"
                return Judged(Accuracy(few, None), None)
            judged.append(image_quality(source, pixels))
        return _likeness("SSIM against the source", judged)

    def _regression(self, results: Mapping[int, Tensors]) -> Judged:
        from splitbed.metrics.regression import regression_accuracy, resampled_r2

        def values(tensors: Sequence[Tensors]) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
            arrays = [array.ravel() for one in tensors for array in one.values()]
            return np.concatenate(arrays).astype(np.float64)

        whole = [self._whole[place] for place in results]
        shapes = [{name: array.shape for name, array in one.items()} for one in whole]
        if shapes != [{n: a.shape for n, a in one.items()} for one in results.values()]:
            return Judged(Accuracy("R2 against the whole model", None), None)
        judged = regression_accuracy(values(whole), values(list(results.values())))
        more = dict(judged.row())
        told = Accuracy("R2 against the whole model", judged.r2, more, frames=len(results))
        of_pictures = [
            (values([true]), values([said]))
            for true, said in zip(whole, results.values(), strict=True)
        ]
        return Judged(told, None if judged.r2 is None else partial(resampled_r2, of_pictures))


def _likeness(metric: str, judged: Sequence[ImageQuality]) -> Judged:
    """Means over pictures of SSIM, which is the metric, and PSNR."""
    ssim = [one.ssim for one in judged if one.ssim is not None]
    psnr = [one.psnr_db for one in judged if one.psnr_db is not None]
    more = {"psnr_db": float(np.mean(psnr)) if psnr else None}
    value = float(np.mean(ssim)) if ssim else None
    told = Accuracy(metric, value, {**more, "ssim": value}, frames=len(judged))
    return Judged(told, partial(mean_of, np.array(ssim)) if len(ssim) == len(judged) else None)


def _outputs(model: SweptModel) -> int:
    """How many numbers the model gives."""
    return sum(abs(math.prod(info.shape)) for info in model.graph.outputs)


def _renamed(box: Box, classes: Sequence[str]) -> Box:
    """The box under the model's name for its class, where the model knows it."""
    name = class_named(box.label, classes)
    if name is None or name == box.label:
        return box
    return Box(name, box.x, box.y, box.w, box.h, box.score, box.crowd, box.track)


def check_classes(model: SweptModel) -> None:
    """Raise UsageError where no class of the ground truth is one that the model knows.

    Nor may it tell of more or fewer candidates than the model scores.
    """
    if model.task == "ranking":
        texts.check_candidates(model.inputs, sum(math.prod(o.shape) for o in model.graph.outputs))
    labels = {box.label for one in model.inputs for box in one.boxes or ()}
    classes = TASKS[model.task].classes
    if labels and classes and not any(class_named(label, classes) for label in labels):
        raise UsageError(
            f"{model.name} knows none of the classes of this ground truth "
            f"({', '.join(sorted(labels)[:5])}): give pictures of its own classes"
        )
