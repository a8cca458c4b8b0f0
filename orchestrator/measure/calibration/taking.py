"""Takes a calibration: runs part 1 on the frames, and part 2 where a stage weighs by it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain

from orchestrator.ask.sweep.config import SweepConfig
from orchestrator.measure.calibration.frames import (
    FEW,
    FRAMES,
    Identity,
    calibration_inputs,
    fitting_inputs,
    identity,
    identity_of,
    seen,
)
from orchestrator.measure.calibration.record import Calibration, read_calibration
from orchestrator.measure.calibration.sensitivities import Sensitivities
from orchestrator.results.run_folder import RunFolder
from orchestrator.testbed.inputs import ModelInput
from orchestrator.testbed.model import Fitted, Known, SweptModel
from splitbed.codecs import Codec, codec_named
from splitbed.codecs.calibration import calibrated
from splitbed.codecs.fitting import check_fitted, fit, needed, weighed_along
from splitbed.codecs.stage import Floats, Range, Setting
from splitbed.errors import NodeError, RunError, SplitbedError, UsageError
from splitbed.graphs.parts import extract
from splitbed.tensors import Tensors

Coding = Iterable[tuple[int, str]]
"""Cuts, each with a codec of what crosses there."""
Note = Callable[[str], None]
Check = Callable[[], None]


def calibrate(
    config: SweepConfig,
    model: SweptModel,
    coding: Coding,
    *,
    folder: RunFolder | None = None,
    note: Note = lambda _: None,
    check: Check = lambda: None,
) -> Calibration:
    """What these codecs are told at these cuts; of a run's `folder`, what was found before.

    A codec that cannot be calibrated at a cut is left out, and `note` is told why: the cells that
    need it will say that it is missing. `check` is called between runs of parts, and may raise.
    Raises UsageError for frames that cannot be used, RunError for a folder that is damaged or full,
    or was calibrated on other frames than would be used now.
    """
    before = read_calibration(folder, model.facts.sha256) if folder else None
    if folder and before and before.frames:
        _check_same(config, model, coding := tuple(coding), before, folder)
    calibrator = Calibrator(config, model, before, note=note, check=check)
    found = calibrator.told(coding)
    if folder and found is not before:
        found.keep(folder)
    return found


def _check_same(
    config: SweepConfig, model: SweptModel, coding: Coding, before: Calibration, folder: RunFolder
) -> None:
    """Raise RunError where a codec that is not calibrated anew would be on other frames."""
    told = {identity_of(one) for one in before.frames}
    for k, name in dict.fromkeys(coding):
        if not before.serves(k, model.graph.cuts[k], name):
            continue
        if seen(config, model, k, name) - told:
            what = f"--calibration {config.calibration}" if config.calibration else "the input"
            raise RunError(
                f"cannot go on with {folder.path}: {name} was calibrated there on other frames "
                f"than {what} gives now; put those back, or start a new run"
            )


class Calibrator:
    """Calibrates codecs when they are asked for; what crosses the cut of the last is held."""

    def __init__(
        self,
        config: SweepConfig,
        model: SweptModel,
        before: Calibration | None = None,
        *,
        note: Note = lambda _: None,
        check: Check = lambda: None,
    ) -> None:
        self._config, self._model = config, model
        self._note, self._check = note, check
        self._found = before or Calibration(model.facts.sha256)
        self._cut: _Cut | None = None

    def told(self, coding: Coding) -> Calibration:
        """As :func:`calibrate`, with what was asked for before."""
        needing: dict[int, list[str]] = {}
        for k, name in dict.fromkeys((k, codec_named(name).said) for k, name in coding):
            if not self._found.serves(k, self._model.graph.cuts[k], name):
                needing.setdefault(k, []).append(name)
        for k, names in needing.items():
            if self._cut is None or self._cut.k != k:
                self._cut = _Cut(self._config, self._model, k, self._note, self._check)
            self._found = self._found.and_also(self._cut.calibrated(names))
        return self._found


class _Cut:
    """Calibrates codecs at one cut; what crosses is made once for each frame."""

    def __init__(
        self, config: SweepConfig, model: SweptModel, k: int, note: Note, check: Check
    ) -> None:
        self._config, self._model, self.k = config, model, k
        self._note, self._check = note, check
        self._cut, self._name = model.graph.cuts[k], model.split_name(k)
        self._crossing: dict[Identity, Tensors] = {}
        self._used: dict[Identity, ModelInput] = {}
        self._weighed: dict[tuple[tuple[str, int], ...], dict[str, Floats] | str] = {}

    def calibrated(self, names: Sequence[str]) -> Calibration:
        """What these codecs are told."""
        tables: dict[Fitted, bytes] = {}
        unfitted: dict[Fitted, str] = {}
        codecs = []
        for codec in map(codec_named, names):
            try:
                check_fitted(codec, self._cut.tensors, self._setting)
                codecs.append(codec)
            except UsageError as error:  # before minutes are spent on it
                self._failed(codec, error, unfitted)
        if any(one.calibrated or one.weighted for one in codecs):
            few = calibration_inputs(self._config, self._model, FRAMES)
        else:
            few = []
        many = {
            one.name: fitting_inputs(self._config, self._model, self.k, one)
            for one in codecs
            if one.fitted
        }
        self._tell(codecs, few, many)
        self._run(chain(few, *many.values()))
        ranges = self._ranges(few) if any(one.calibrated for one in codecs) else {}
        for codec in (one for one in codecs if one.fitted):
            self._check()
            try:
                tables |= self._tables(codec, self._of(many[codec.name]), few)
            except SplitbedError as error:  # the cells that need them will say it, too
                self._failed(codec, error, unfitted)
        frames = tuple(one.facts() for one in self._used.values())
        return Calibration(None, frames, Known(ranges, tables, unfitted))

    def _failed(self, codec: Codec, error: SplitbedError, unfitted: dict[Fitted, str]) -> None:
        self._note(f"{self._name}: {error}")
        unfitted |= {(self.k, *one): str(error) for one in needed(codec, self._cut.tensors)}

    @property
    def _setting(self) -> Setting:
        return Known().at(self.k, self._model.channels_last, self._model.picture_at(self.k))

    def _tell(
        self,
        codecs: Sequence[Codec],
        few: Sequence[ModelInput],
        many: Mapping[str, Sequence[ModelInput]],
    ) -> None:
        if any(one.calibrated for one in codecs):
            self._note(f"calibrating codecs on {', '.join(one.name for one in few)}")
        for name, frames in many.items():
            words = f"fitting {name} at {self._name} to {len(frames)} frames"
            if len(frames) < FEW:
                words += f"; with {FEW} and more it takes fewer bits: give others by --calibration"
            self._note(words)

    def _run(self, inputs: Iterable[ModelInput]) -> None:
        part, rest = extract(self._model.stored, self.k)
        rest.remove()
        with self._model.session(part, 0) as session:
            for one in inputs:
                if (key := identity(one)) not in self._used:
                    self._check()
                    self._used[key] = one
                    self._crossing[key] = session.run(one.tensors)

    def _of(self, inputs: Iterable[ModelInput]) -> list[Tensors]:
        return [self._crossing[identity(one)] for one in inputs]

    def _ranges(self, inputs: Sequence[ModelInput]) -> dict[str, Range]:
        try:
            return calibrated(self._of(inputs), channels_last=self._model.channels_last)
        except NodeError as error:  # the cells that need them will say that they are missing
            self._note(f"{self._name}: {error}")
            return {}

    def _tables(
        self, codec: Codec, frames: Sequence[Tensors], few: Sequence[ModelInput]
    ) -> dict[Fitted, bytes]:
        axes = weighed_along(codec, self._cut.tensors, frames, self._setting)
        weights = self._weights(codec, axes, few) if axes else {}
        found = fit(codec, self._cut.tensors, frames, self._setting, weights)
        return {(self.k, *one): table for one, table in found.items()}

    def _weights(
        self, codec: Codec, axes: Mapping[str, int], inputs: Sequence[ModelInput]
    ) -> dict[str, Floats]:
        """What part 2 is sensitive to, measured once; NodeError where it cannot be."""
        if (key := tuple(axes.items())) not in self._weighed:
            measure = Sensitivities(self._model, self.k, self._note, self._check)
            try:
                self._weighed[key] = measure.of(self._of(inputs), axes)
            except SplitbedError as error:  # no other codec's is measured, either
                self._weighed[key] = str(error)
        found = self._weighed[key]
        if isinstance(found, str):
            raise NodeError(
                f"what part 2 is sensitive to cannot be measured: {found}; {codec.name} cannot be "
                "fitted without, and as klt:100,plain does without, which takes 1.4 to 6 times the "
                "rate"
            )
        return found
