"""Measures the cells of a sweep, one after another, and journals each.

profile ──> calibrate codecs ──> for each cell: measure, judge, journal
"""

import time
from collections.abc import Sequence
from dataclasses import asdict

from orchestrator.ask.config import SweepConfig
from orchestrator.ask.grid import Cell
from orchestrator.measure.accuracy import Judge
from orchestrator.measure.calibration import calibrate, read_calibration
from orchestrator.measure.cell import CellMeasurement
from orchestrator.measure.conditions import now
from orchestrator.measure.profile import take_profile
from orchestrator.measure.watcher import Watcher
from orchestrator.results.clock import on_ue_clock
from orchestrator.results.profile import read_profile
from orchestrator.results.run_folder import (
    ACCURACY_FILE,
    CALIBRATION_FILE,
    PROFILE_FILE,
    PROFILE_TABLE_FILE,
    SUMMARY_FILE,
    Record,
    RunFolder,
)
from orchestrator.results.summary import accuracy_csv, rows, to_csv
from orchestrator.testbed.parts import Parts
from orchestrator.testbed.testbed import Testbed
from splitbed.errors import NodeError, RunError, SplitbedError, UsageError
from splitbed.tasks.boxes import write_boxes
from splitbed.tensors import Tensors
from splitbed.timeline import Stage


class Sweeper:
    """Measures cells; one that fails costs a restart of the nodes, not the sweep."""

    def __init__(
        self, config: SweepConfig, bed: Testbed, folder: RunFolder, progress: Watcher
    ) -> None:
        self._config = config
        self._bed = bed
        self._folder = folder
        self._progress = progress
        self._parts = Parts(bed.pair, bed.model, config)
        self._judge = Judge(bed.model, bed.pair.references)

    def measure(self, cells: Sequence[Cell]) -> BaseException | None:
        """Measure the cells; gives back what stopped it before the last one."""
        try:
            if cells and self._config.profile:
                self._profile()
            self._calibrate(cells)
            if cells:
                self._keep_whole()
            for cell in cells:
                self._bed.interruption.check()
                self._progress.cell(cell)
                self._progress.done(self._measure(cell))
        except OSError as error:
            return RunError(f"{error}: make room, then go on with --resume {self._folder.path}")
        except (SplitbedError, KeyboardInterrupt) as stopped:
            return stopped
        return None

    def _profile(self) -> None:
        """Profile both nodes, unless an earlier part of this run has; a sweep can do without."""
        if not (self._folder.path / PROFILE_FILE).exists():
            self._progress.note("profiling both nodes")
            try:
                taken = take_profile(self._config, self._bed.model, self._bed.pair)
            except (NodeError, UsageError) as error:
                self._bed.interruption.check()
                self._progress.note(f"no profile: {error}")
                self._bed.pair.restart()
                return
            self._folder.replace(PROFILE_FILE, taken.model_dump_json(indent=1))
            self._folder.replace(PROFILE_TABLE_FILE, taken.csv())
        profile = read_profile(self._folder)
        self._parts.full_ms = profile.ue.steady_ms if profile else None

    def _calibrate(self, cells: Sequence[Cell]) -> None:
        """Have the ranges that codecs need, from an earlier part of this run if it has them."""
        needing = [cell.configuration for cell in cells if cell.configuration.calibrated]
        if not needing:
            return
        file = self._folder.path / CALIBRATION_FILE
        if not file.exists():
            cuts = dict.fromkeys(one.k for one in needing)
            note = self._progress.note
            found = calibrate(self._config, self._bed.model, cuts, note=note)
            self._folder.replace(CALIBRATION_FILE, found.text())
        self._parts.ranges = read_calibration(file.read_text()).ranges

    def _keep_whole(self) -> None:
        """Write down what the whole model finds, and how good that is."""
        self._folder.write_run(
            self._folder.read_run() | {"whole_accuracy": asdict(self._judge.whole)}
        )
        for place, result in enumerate(self._bed.pair.references):
            self._predict("whole", place, result)

    def _predict(self, cell: str, place: int, result: Tensors) -> None:
        """Write the boxes of one frame as clause 2.1.1.1 has them."""
        if (boxes := self._judge.boxes(place, result)) is not None:
            name = self._bed.model.inputs[place].name.replace("/", "_")
            self._folder.write_prediction(cell, f"{name}.txt", write_boxes(boxes))

    def _measure(self, cell: Cell) -> Record:
        attempt = f"{cell.configuration.key} at {now()} #{time.monotonic_ns()}"
        predictions = f"{sum(1 for _ in self._folder.cells()):04}"
        self._folder.drop_predictions(predictions)  # of a cell that was interrupted
        asked = cell.configuration
        crossing = self._bed.model.graph.cuts[asked.k].tensors if asked.crosses else ()
        journal: Record = {
            "key": asked.key,
            "attempt": attempt,
            "split": asked.split,
            "split_name": asked.split_name,
            "codec": asked.codec,
            "lossless": asked.lossless,
            "ue": asked.pace.words,
            "intermediate_tensors": len(crossing),
            "intermediate_bytes": cell.crossing_bytes,
            "tensors": [
                {"name": tensor.name, "shape": tensor.shape, "bytes": tensor.nbytes}
                for tensor in crossing
            ],
            "link": cell.link.model_dump(),
            "link_backend": self._bed.link.backend,
            "predictions": predictions,
            "frames": 0,
            "error": None,
        }
        results: dict[int, Tensors] = {}

        def on_frame(place: int, sample: Record, result: Tensors) -> None:
            self._folder.add_sample({"attempt": attempt, "input": place, **sample})
            journal["frames"] += 1
            results[place] = result
            self._predict(predictions, place, result)
            stages = [Stage(*stage) for stage in sample["stages"]]
            clock = self._bed.pair.clock()
            self._progress.frame(sample, on_ue_clock(stages, clock) if clock else stages)
            self._bed.interruption.check()

        started = time.monotonic()
        try:
            measurement = CellMeasurement(self._bed, self._parts, self._config, cell)
            measurement.on_proof = lambda proof: self._progress.proved(cell.link, proof)
            journal |= measurement.run(len(self._bed.model.inputs), on_frame)
            if not asked.lossless:
                journal["accuracy"] = asdict(self._judge.judge(results))
        except (NodeError, UsageError) as error:
            self._bed.interruption.check()
            journal |= {"error": str(error), "error_kind": type(error).__name__}
        if (clocks := self._bed.pair.clocks) and (clock := clocks.model()):
            journal["clock"] = clock.record() | {"ue_epoch_ns": clocks.ue_epoch_ns}
        journal["wall_ms"] = (time.monotonic() - started) * 1e3
        self._folder.add_cell(journal)
        self._folder.replace(SUMMARY_FILE, to_csv(rows(self._folder)))
        self._folder.replace(ACCURACY_FILE, accuracy_csv(self._folder))
        if journal["error"]:
            self._parts.forget()
            self._restart()
        return journal

    def _restart(self) -> None:
        self._progress.note("bringing the nodes back, which is waited for up to a minute")
        try:
            self._bed.pair.restart()
        except NodeError:  # a machine that is busy dying may need a second try
            self._bed.pair.restart()
