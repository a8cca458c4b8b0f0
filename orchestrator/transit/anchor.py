"""Our scenario: a model of the zoo or a file, judged as its task is on the inputs given.

get_model ─> coder ─> a model with other tensors ─> get_perf: its file, run on every input
"""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby, islice
from pathlib import Path

import numpy as np

from orchestrator.ask.sweep.config import SweepConfig
from orchestrator.measure.accuracy import Judge
from orchestrator.measure.calibration import calibration_inputs
from orchestrator.testbed.inputs import ModelInput
from orchestrator.testbed.local import LocalModel
from orchestrator.transit.published import PARTITIONS, TEST
from splitbed.errors import UsageError
from splitbed.graphs.parts import extract_part, write_portable
from splitbed.model_coders.published import Model
from splitbed.model_data import read_model, write_model
from splitbed.model_data.state import StateModel
from splitbed.runtime.batch import BatchSession
from splitbed.runtime.session import PartSession
from splitbed.runtime.trial import Asked, tried_together
from splitbed.tensors import Tensors

VALIDATION_FRAMES = 100


class AnchorScenario:
    """A model that is on disk, and its inputs; needs no download."""

    def __init__(
        self, local: LocalModel, config: SweepConfig, workers: int = 0, batch: int = 1
    ) -> None:
        """``workers`` make the inputs ready, and ``batch`` of them are run at once."""
        self._local, self.config, self._workers, self._batch = local, config, workers, batch
        model = local.model
        self.info = model.info
        part = extract_part(model.stored, 0, model.graph.n)
        self.path = model.stored.folder / f"anchor.{model.graph.format}"
        write_portable(part, self.path)
        part.remove()
        self._judges: dict[str, Judge] = {}

    @property
    def metric_name(self) -> str:
        """The metric of the model's task."""
        return self.judge(TEST).whole.metric

    def download_data_and_models(self) -> None:
        """Both are here."""

    def get_model(self, pre_trained: bool) -> StateModel:
        """The model; not trained, its floating-point tensors are zero."""
        model = StateModel(read_model(self.path))
        if not pre_trained:
            for array in model.state_dict().values():
                if np.issubdtype(array.dtype, np.floating):
                    array[...] = 0
        return model

    def get_perf(
        self,
        model: Model,
        partition: str,
        enforce_higher_is_better: bool = False,  # noqa: ARG002  all metrics here are
    ) -> tuple[float, float]:
        """The metric, higher for a better model, and the seconds that running and judging took.

        The partition ``valid`` are the frames of --calibration, or others than are measured.
        """
        if not isinstance(model, StateModel):
            raise UsageError("this scenario judges models that its get_model gave, not others")
        file = self.path.with_stem("rebuilt")
        write_model(model.file, file)
        try:
            return self.performance(file, partition)
        finally:
            file.unlink()

    def performance(self, file: Path, partition: str = TEST) -> tuple[float, float]:
        """The same of a model file."""
        judge, inputs = self.judge(partition), self.inputs(partition)
        start_s = time.monotonic()
        found = judge.judge(dict(enumerate(self._results(file, inputs))))
        return _number(found.value), time.monotonic() - start_s

    def judged(self, results: Mapping[int, Tensors]) -> float:
        """The metric of results by the places of their inputs, those of the partition ``test``."""
        return _number(self.judge(TEST).judge(results).value)

    def judge(self, partition: str) -> Judge:
        """What judges results of the inputs of a partition; the anchor model was run on them."""
        if partition not in self._judges:
            inputs = self.inputs(partition)
            whole = dict(enumerate(self._results(self.path, inputs)))
            self._judges[partition] = Judge(self._local.model, whole, inputs)
        return self._judges[partition]

    def inputs(self, partition: str) -> Sequence[ModelInput]:
        """Those of a partition; UsageError for a name that is none."""
        if partition not in PARTITIONS:
            raise UsageError(f"no partition is called {partition!r}: {', '.join(PARTITIONS)}")
        if partition == TEST:
            return self._local.model.inputs
        return calibration_inputs(self.config, self._local.model, VALIDATION_FRAMES)

    def outputs(self, file: Path, inputs: Sequence[ModelInput]) -> Iterator[Tensors]:
        """What a model file makes of inputs, before its task reads it.

        Raises UsageError where it cannot be run on a batch, or gives something else then.
        """
        info, threads = self.info, self._local.threads
        with PartSession(file, info.inputs, info.outputs, (), threads, info.runtime) as session:
            fed = self._fed(inputs)
            yield from (
                self._together(session, file, fed) if self._batch > 1 else map(session.run, fed)
            )

    def _together(
        self, session: PartSession, file: Path, fed: Iterable[Tensors]
    ) -> Iterator[Tensors]:
        """The same to the bit as one at a time, as the UE runs it."""
        count, runtime = self._batch, self.info.runtime
        asked = Asked(
            str(file), session.inputs, session.made, session.threads, runtime, together=count
        )
        try:
            off = tried_together(asked)
        except UsageError as error:
            raise UsageError(f"--batch-size {count}: {error}; leave it") from None
        if off:
            raise UsageError(
                f"--batch-size {count}: what {file.name} makes of inputs together is off by"
                f" {off:.2g} of the largest value from what it makes of each, as UEs do: leave it"
            )
        together = BatchSession(session, file, runtime)
        for _, alike in groupby(fed, _shapes):
            while some := list(islice(alike, count)):
                yield from together.run(some)

    def _results(self, file: Path, inputs: Sequence[ModelInput]) -> Iterator[Tensors]:
        return map(self.info.result_of, self.outputs(file, inputs))

    def _fed(self, inputs: Sequence[ModelInput]) -> Iterator[Tensors]:
        """The tensors of the inputs, made by so many workers at once as were asked for."""
        if not self._workers:
            yield from (one.tensors for one in inputs)
            return
        with ThreadPoolExecutor(self._workers, "loader") as pool:
            for first in range(0, len(inputs), self._workers):
                some = inputs[first : first + self._workers]
                yield from pool.map(lambda one: one.tensors, some)


def _shapes(tensors: Tensors) -> list[tuple[int, ...]]:
    return [array.shape for array in tensors.values()]


def _number(value: float | None) -> float:
    return float("nan") if value is None else value
