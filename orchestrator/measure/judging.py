"""Keeps what was found in each picture, and judges it: of the whole model, then of each cell."""

from collections.abc import Sequence

from orchestrator.measure.accuracy import Judge
from orchestrator.results.journal import Journal
from orchestrator.results.records import Accuracy
from orchestrator.results.run_folder import RunFolder
from orchestrator.testbed.model import SweptModel
from splitbed.tasks.boxes import write_boxes
from splitbed.tensors import Tensors

_WHOLE = "whole"


class Judging:
    """Of one model; `whole` is what all of it makes of each input."""

    def __init__(self, model: SweptModel, whole: Sequence[Tensors], folder: RunFolder) -> None:
        self._model, self._whole, self._folder = model, whole, folder
        self.judge = Judge(model, whole)

    def keep_whole(self, journal: Journal) -> None:
        """Write down what the whole model finds, and how good that is."""
        journal.update(whole_accuracy=self.judge.whole)
        for place, result in enumerate(self._whole):
            self.predict(_WHOLE, place, result)

    def of_cell(self, number: int) -> "CellJudging":
        """For the cell of this number, counted over all attempts."""
        folder = f"{number:04}"
        self._folder.drop_predictions(folder)  # of a cell that was interrupted
        return CellJudging(self, folder)

    def predict(self, folder: str, place: int, result: Tensors) -> None:
        """Write the boxes of one frame as clause 2.1.1.1 has them."""
        if (boxes := self.judge.boxes(place, result)) is not None:
            name = self._model.inputs[place].name.replace("/", "_")
            self._folder.write_prediction(folder, f"{name}.txt", write_boxes(boxes))


class CellJudging:
    """The results of one cell; its predictions are in `folder`, under those of the run."""

    def __init__(self, judging: Judging, folder: str) -> None:
        self._judging = judging
        self._results: dict[int, Tensors] = {}
        self.folder = folder
        self.frames = 0
        """How many were kept."""

    def keep(self, place: int, result: Tensors) -> None:
        """The result of a frame of the input at `place`."""
        self.frames += 1
        self._results[place] = result
        self._judging.predict(self.folder, place, result)

    @property
    def accuracy(self) -> Accuracy:
        """Of the results so far."""
        return self._judging.judge.judge(self._results)
