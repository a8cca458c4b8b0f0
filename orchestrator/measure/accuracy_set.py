"""What codecs cost in accuracy, judged here and off the clock, on a set of frames of its own.

    frame ──> part 1 ──> encode ──> decode ──> part 2 ──> result     for each split and lossy codec

Once for each split and codec: links and paces change no result, and what came over the link is held
against it, frame by frame.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import pairwise

from orchestrator.ask.configuration import Configuration, Making
from orchestrator.ask.sweep.config import SweepConfig
from orchestrator.measure.accuracy import Judge, held
from orchestrator.measure.calibration import identity, quantised_on, searched_inputs, seen
from orchestrator.results.judgement.accuracy import drawn
from orchestrator.results.records import Accuracy
from orchestrator.testbed.inputs import ModelInput
from orchestrator.testbed.local import Ends
from orchestrator.testbed.model import Known, SweptModel
from splitbed.errors import SplitbedError
from splitbed.flow import Span
from splitbed.graphs.parts import Part, extract, write_portable
from splitbed.model_coders import coder_named
from splitbed.model_coders.decoder import rebuilt
from splitbed.model_coders.encoder import encode
from splitbed.model_data import read_model, write_model
from splitbed.runtime.session import PartSession
from splitbed.tensors import Tensors
from splitbed.wire import max_abs_diff

Crossing = Callable[[Tensors], Tensors]
_Part = tuple[Span, str]
"""Layers, and the coder of model data that they came in, if any."""


@dataclass(frozen=True)
class Coded:
    """What a split and a codec came to: results by the places of their inputs."""

    accuracy: Accuracy
    results: Mapping[int, Tensors]

    def difference(self, place: int, result: Tensors) -> float | None:
        """How far what came over the link is from what was judged; infinity where shapes differ.

        None for a frame that was not judged, or whose result was too large to be brought back.
        """
        here = self.results.get(place)
        return max_abs_diff(here, result) if here and result else None


class AccuracySet:
    """The frames that accuracy is judged on, and what the whole model makes of them.

    The first `--accuracy-frames` of the dataset; with seeded weights, of which accuracy tells
    nothing, those that are measured. Raises SplitbedError for frames that cannot be read.
    """

    def __init__(
        self,
        config: SweepConfig,
        model: SweptModel,
        check: Callable[[], None],
        note: Callable[[str], None],
    ) -> None:
        self._config, self._model, self._check, self._note = config, model, check, note
        seeded = drawn(model.facts.weights)
        every = model.inputs if seeded else (*model.inputs, *model.others)
        self.inputs: Sequence[ModelInput] = every[: config.accuracy_frames]
        with self._session(extract(model.stored, 0)[1]) as session:
            whole = held(enumerate(self._whole(session)))
        self.most = len(every) if len(whole) == len(self.inputs) else len(whole)
        """Inputs that can be judged, were so many asked for."""
        self.inputs = self.inputs[: len(whole)]
        self.judge = Judge(model, whole, self.inputs)

    def coded(
        self, asked: Iterable[Configuration], known: Known
    ) -> Iterator[tuple[Configuration, Coded]]:
        """What each split and codec comes to; one that cannot be is told, and left out."""
        unmade = self._model.unmade.keys()  # their cells will say why
        once = {
            one.making: one
            for one in asked
            if not one.lossless and unmade.isdisjoint(one.making[1])
        }
        for parts in dict.fromkeys(map(_parts_of, once.values())):
            own = [one for one in once.values() if _parts_of(one) == parts]
            codecs = ", ".join(dict.fromkeys(_codecs(one) for one in own))
            self._note(
                f"judging the accuracy of {own[0].split_name} {codecs} on {len(self.inputs)} frames"
            )
            results = self._results(parts, own, known)
            for one in own:
                if found := results.get(one.making):
                    yield one, Coded(self.judge.judge(found), found)

    def _whole(self, session: PartSession) -> Iterator[Tensors]:
        for one in self.inputs:
            self._check()
            yield self._model.info.result_of(session.run(one.tensors))

    def _results(
        self,
        asked_parts: Sequence[_Part],
        own: Sequence[Configuration],
        known: Known,
    ) -> dict[Making, dict[int, Tensors]]:
        """By the codecs, in the order of the frames: a codec may know the frame before."""
        told = {one.making: self._seen(one) for one in own}
        found: dict[Making, dict[int, Tensors]] = {one.making: {} for one in own}
        with self._parts(asked_parts) as parts:
            coders = self._coders(own, known)
            for place, one in enumerate(self.inputs):
                self._check()
                crossing = parts[0].run(one.tensors)
                for asked in own:
                    if asked.making not in coders or place in told[asked.making]:
                        continue
                    try:
                        coded = coders[asked.making]
                        given = parts[0].run(coded[0](one.tensors)) if 0 in coded else crossing
                        outputs = _through(parts, coded, given)
                        found[asked.making][place] = self._model.info.result_of(outputs)
                    except SplitbedError as error:
                        self._note(f"{asked.words} at {one.name}: {error}")
                        del coders[asked.making], found[asked.making]
        return found

    def _coders(
        self, own: Sequence[Configuration], known: Known
    ) -> dict[Making, dict[int, Crossing]]:
        coders = {}
        for asked in own:
            try:
                coders[asked.making] = {
                    k: self._there(k, codec, known) for k, codec in asked.coding
                }
            except SplitbedError as error:  # its cells will say so, too
                self._note(f"{asked.words}: {error}")
        return coders

    def _there(self, k: int, codec: str, known: Known) -> Crossing:
        """What a codec makes of what crosses a cut, as the node that gets it has it."""
        ends = Ends(self._model, k, codec, known)
        return lambda crossing: ends.cross(crossing).decoded

    def _seen(self, asked: Configuration) -> set[int]:
        """The places of frames that its codecs were calibrated on: they are not judged by these."""
        known = quantised_on(self._config, self._model, asked)
        for k, codec in asked.coding:
            known |= seen(self._config, self._model, k, codec)
        if known and self._config.target:
            known |= {identity(one) for one in searched_inputs(self._config, self._model)}
        return {place for place, one in enumerate(self.inputs) if known and identity(one) in known}

    @contextmanager
    def _parts(self, asked: Sequence[_Part]) -> Iterator[dict[int, PartSession]]:
        """By the cut that each begins at."""
        with ExitStack() as stack:
            sessions = {}
            for span, coder in asked:
                part = self._model.part(span)
                if coder:
                    _recode(part, coder)
                sessions[span.first] = stack.enter_context(self._session(part))
            yield sessions

    def _session(self, part: Part) -> PartSession:
        return self._model.session(part, self._config.edge_threads)


def _parts_of(asked: Configuration) -> tuple[_Part, ...]:
    """Those between cuts whose tensors cross; in which coder each came, if it did."""
    cuts = (0, *(k for k, _ in asked.coding if 0 < k < asked.n), asked.n)
    versions = {(one.first, one.last): one.version for one in asked.itinerary}
    ends = pairwise(cuts)
    spans = [Span(*both, version=versions.get(both, "")) for both in ends]
    return tuple((one, asked.part_coder if one in asked.delivered else "") for one in spans)


def _codecs(asked: Configuration) -> str:
    own = "of a model of its own" if asked.device_model else ""
    came = f"part in {asked.part_coder}" if asked.part_coder else ""
    precise = f"in {asked.precision.words}" if asked.precision.words else ""
    return ", ".join(filter(None, (own, precise, came, asked.codecs if asked.crosses else "")))


def _recode(part: Part, coder: str) -> None:
    """Have its file as it is where it came in this coder of model data."""
    assert part.path is not None
    file = part.path.with_stem("recoded")
    write_portable(part, file)
    write_model(rebuilt(encode(read_model(file), coder_named(coder))), file)
    file.replace(part.path)


def _through(
    parts: Mapping[int, PartSession], coded: Mapping[int, Crossing], given: Tensors
) -> Tensors:
    """The outputs, of what part 1 gave: each cut is coded before the part that begins there."""
    for cut, part in parts.items():
        if cut:
            given = part.run(coded[cut](given))
    outputs = [one for cut, one in coded.items() if cut and cut not in parts]
    return outputs[0](given) if outputs else given
