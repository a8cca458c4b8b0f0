"""Keeps what was found in each picture, and judges it: of the whole model, then of each cell.

What a lossy codec costs is judged before the cells (:mod:`orchestrator.measure.accuracy_set`); the
frames of each prove that the same comes over the link.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from msgspec import structs

from orchestrator.ask.configuration import Configuration, Making
from orchestrator.measure.accuracy import Judge
from orchestrator.measure.accuracy_set import AccuracySet, Coded
from orchestrator.measure.frames import Taken, finite
from orchestrator.results.journal import Journal
from orchestrator.results.records import Accuracy
from orchestrator.results.run_folder import RunFolder
from orchestrator.testbed.model import Known, SweptModel
from splitbed.tasks.boxes import write_boxes
from splitbed.tensor_files import TensorFiles
from splitbed.tensors import Tensors

_WHOLE = "whole"


class Judging:
    """Of one model; `whole` is what all of it makes of each input, judged on the first `frames`."""

    def __init__(
        self, model: SweptModel, whole: Mapping[int, Tensors], folder: RunFolder, frames: int
    ) -> None:
        self._model, self._whole, self._folder, self._frames = model, whole, folder, frames
        self.judge = Judge(model, whole)
        self._accuracy: Accuracy | None = None
        self._most_inputs: int | None = None
        self._coded: dict[Making, Coded] = {}

    def judge_codecs(
        self,
        frames: Callable[[], AccuracySet],
        asked: Sequence[Configuration],
        known: Known,
    ) -> None:
        """Judge every split with a lossy codec, where there is one, on the `frames`."""
        asked = [one for one in asked if one.making not in self._coded]
        if all(one.lossless for one in asked):
            return
        held = frames()
        self._accuracy, self._most_inputs = held.judge.whole, held.most
        measured = len(self._model.inputs)
        for one, coded in held.coded(asked, known):
            # the link's frames are of the first inputs; the others are judged and let go
            near = TensorFiles(self._model.stored.folder / f"coded-{len(self._coded)}")
            for place, result in coded.results.items():
                if place < measured:
                    near.put(place, result)
            self._coded[one.making] = replace(coded, results=near)

    def accuracy_of(self, asked: Configuration) -> Accuracy | None:
        """Of a split and a lossy codec, where it was judged."""
        coded = self._coded.get(asked.making)
        return coded.accuracy if coded else None

    def keep_whole(self, journal: Journal) -> None:
        """Write down what the whole model finds, and how good that is."""
        journal.update(
            whole_accuracy=self._accuracy or self.judge.whole_of(self._frames),
            most_inputs=self._most_inputs or journal.run.most_inputs,
        )
        for place, result in self._whole.items():
            self.predict(_WHOLE, place, result)

    def of_cell(self, number: int, asked: Configuration) -> "CellJudging":
        """For the cell of this number, counted over all attempts."""
        folder = f"{number:04}"
        self._folder.drop_predictions(folder)  # of a cell that was interrupted
        return CellJudging(self, folder, self._coded.get(asked.making))

    def predict(self, folder: str, place: int, result: Tensors) -> None:
        """Write the boxes of one frame as clause 2.1.1.1 has them."""
        if (boxes := self.judge.boxes(place, result)) is not None:
            name = self._model.inputs[place].name.replace("/", "_")
            self._folder.write_prediction(folder, f"{name}.txt", write_boxes(boxes))


class CellJudging:
    """The results of one cell; its predictions are in `folder`, under those of the run."""

    def __init__(self, judging: Judging, folder: str, coded: Coded | None) -> None:
        self._judging = judging
        self._coded = coded
        self._most_off: float | None = None
        self._predicted: set[int] = set()
        self.folder = folder
        self.frames = 0
        """How many were kept."""

    def keep(self, taken: Taken) -> None:
        """A frame; of each input what was found first is written, so that few frames cost more."""
        self.frames += 1
        place = taken.record.input
        if self._coded and (found := self._coded.difference(place, taken.result)) is not None:
            self._most_off = max(finite(found), self._most_off or 0.0)
        if place not in self._predicted:
            self._predicted.add(place)
            self._judging.predict(self.folder, place, taken.result)

    @property
    def accuracy(self) -> Accuracy | None:
        """Of its split and codec, and how far what came over the link was from it."""
        if self._coded is None:
            return None
        return structs.replace(self._coded.accuracy, link_diff=self._most_off)
