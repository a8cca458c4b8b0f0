"""What a codec comes to on calibration frames, as its number is turned.

    frame ──> part 1 ──> encode ──> decode ──> part 2 ──> result
              once       for each number that is tried

None of the frames is measured, and none that is searched on is judged afterwards.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

from orchestrator.ask.sweep.config import SweepConfig
from orchestrator.measure.accuracy import Judge, held
from orchestrator.measure.calibration import Calibrator, searched_inputs
from orchestrator.results.records import TriedStep
from orchestrator.testbed.local import Ends
from orchestrator.testbed.model import SweptModel
from splitbed.codecs.coder import Coder
from splitbed.graphs.parts import extract
from splitbed.runtime.session import PartSession
from splitbed.tensor_files import TensorFiles
from splitbed.tensors import Tensors, nbytes_of


class DialBench:
    """Calibration frames, what the whole model makes of them, and what crosses its cuts."""

    def __init__(self, config: SweepConfig, model: SweptModel, calibrator: Calibrator) -> None:
        self._config, self._model, self._calibrator = config, model, calibrator
        self.inputs = searched_inputs(config, model)

    @contextmanager
    def at(self, k: int) -> Iterator["DialsAtCut"]:
        """What crosses the cut after `k` layers, for as long as this is open."""
        part1, part2 = extract(self._model.stored, k)
        crossing = TensorFiles(self._model.stored.folder / f"dial-{k}")
        threads = self._config.edge_threads
        try:
            with self._model.session(part1, threads) as session:
                for place, one in enumerate(self.inputs):
                    crossing.put(place, session.run(one.tensors))
            with self._model.session(part2, threads) as session:
                yield DialsAtCut(self, k, crossing, session)
        finally:
            crossing.clear()

    def coder(self, k: int, codec: str) -> Coder:
        """One end of a codec. Raises UsageError."""
        return self._model.coder(k, codec, self._calibrator.told([(k, codec)]).known)

    def ends(self, k: int, codec: str) -> Ends:
        """Both ends of a codec. Raises UsageError."""
        return Ends(self._model, k, codec, self._calibrator.told([(k, codec)]).known)

    @cached_property
    def whole(self) -> dict[int, Tensors]:
        """What the whole model makes of the frames, or of as many as are held at once."""
        whole, threads = extract(self._model.stored, 0)[1], self._config.edge_threads
        with self._model.session(whole, threads) as session:
            return held(
                (place, self.result_of(session.run(one.tensors)))
                for place, one in enumerate(self.inputs)
            )

    @cached_property
    def judge(self) -> Judge:
        """Judges results of these."""
        return Judge(self._model, self.whole, self.inputs[: len(self.whole)])

    def result_of(self, outputs: Tensors) -> Tensors:
        """What the model's task makes of its outputs."""
        return self._model.info.result_of(outputs)


@dataclass(frozen=True)
class DialsAtCut:
    """Tries codecs on what crosses one cut."""

    bench: DialBench
    k: int
    crossing: Mapping[int, Tensors]
    part2: PartSession

    def rated(self, codec: str) -> TriedStep:
        """What a frame takes. Raises SplitbedError for what cannot be coded."""
        encode = self.bench.coder(self.k, codec).encode
        sizes = [nbytes_of(encode(self.crossing[place])) for place in range(len(self.crossing))]
        return _tried(codec, sizes)

    def judged(self, codec: str) -> TriedStep:
        """That, and what it loses, on as many of the frames as are judged. Raises SplitbedError."""
        ends = self.bench.ends(self.k, codec)
        sizes, results = list[int](), dict[int, Tensors]()
        for place in range(len(self.crossing)):
            crossed = ends.cross(self.crossing[place])
            sizes.append(crossed.nbytes)
            if place in self.bench.whole:
                results[place] = self.bench.result_of(self.part2.run(crossed.decoded))
        found = self.bench.judge.judge(results)
        return _tried(codec, sizes, found.drop, found.drop_low, found.drop_high)


def _tried(codec: str, sizes: Sequence[int], *drop: float | None) -> TriedStep:
    kbit = sum(sizes) * 8 / 1e3 / len(sizes)
    named = zip(("drop", "drop_low", "drop_high"), drop, strict=False)
    return TriedStep(codec=codec, kbit=kbit, **dict(named))
