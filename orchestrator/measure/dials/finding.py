"""Finds the number of every codec that leaves it open, for what was asked, before a cell is begun.

``--target-drop 0.01`` takes the coarsest that is sure to lose no more: the upper end of the loss's
95 % interval is within it, as it has to be for a row to be recommended; of too few frames for an
interval, the loss itself. ``--target-kbit 20`` takes the finest that takes no more.
"""

from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path

from orchestrator.ask.configuration import Configuration
from orchestrator.ask.sweep.cell import Cell
from orchestrator.ask.sweep.config import SweepConfig
from orchestrator.ask.sweep.grid import plan_cells
from orchestrator.ask.target import Target
from orchestrator.measure.calibration import Calibrator, fitted_to, identity
from orchestrator.measure.dials.bench import DialBench, DialsAtCut
from orchestrator.measure.dials.search import first_within
from orchestrator.results.judgement.accuracy import ROUNDING, drawn, drop_words
from orchestrator.results.records import DialRecord, Dials, TriedStep
from orchestrator.results.run_folder import DIALS_FILE, RunFolder
from orchestrator.testbed.model import SweptModel
from splitbed.codecs import codec_named
from splitbed.codecs.stage import Dial
from splitbed.errors import RunError, SplitbedError, UsageError

Note = Callable[[str], None]


def dialled_cells(
    config: SweepConfig, model: SweptModel, note: Note, earlier: Path | None = None
) -> tuple[list[Cell], Dials]:
    """The grid, with each codec at the number that was found, now or in an `earlier` run's folder.

    Raises UsageError for a grid that cannot be, RunError for a folder that does not tell.
    """
    cells = plan_cells(config, model)
    if config.target is None:
        return cells, Dials()
    if earlier is not None:
        dials = read_dials(earlier)
    else:
        dials = find_dials(config, model, [cell.configuration for cell in cells], note)
    return plan_cells(config, model, dials.steps), dials


def keep_dials(folder: RunFolder, dials: Dials) -> None:
    """Write down what was found, where anything was searched for; RunError where that fails."""
    if dials.dials:
        folder.replace(DIALS_FILE, dials.json(indent=1))


def check_found(dials: Dials) -> None:
    """Raise UsageError where a target is missed, for what cannot do without one of its codecs."""
    if missed := [one.missed for one in dials.dials if one.missed]:
        raise UsageError(missed[0])


def read_dials(folder: Path) -> Dials:
    """What a run found; RunError where it does not say."""
    try:
        return Dials.from_json((folder / DIALS_FILE).read_bytes())
    except (OSError, ValueError) as error:
        raise RunError(
            f"{folder / DIALS_FILE}, the numbers that were searched for, cannot be read: {error}; "
            "start a new run"
        ) from None


def find_dials(
    config: SweepConfig, model: SweptModel, asked: Sequence[Configuration], note: Note
) -> Dials:
    """Where every dial that `asked` leaves open has to stand. Raises UsageError.

    What goes wrong with one is told in its record.
    """
    target = config.target
    assert target is not None
    judges = not drawn(model.facts.weights)
    if target.drop is not None and not judges:
        raise UsageError(
            f"{target.option}: the weights of {model.name} are seeded, not trained, and what a "
            "codec costs in accuracy is unknown: give trained ones with --weights, or --target-kbit"
        )
    wanted = sorted({both for one in asked for both in _left_open(one, target)})
    bench = DialBench(config, model, Calibrator(config, model, note=note))
    found = []
    for k, here in groupby(wanted, key=lambda both: both[0]):
        with bench.at(k) as cut:
            for _, codec in here:
                words = f"searching {codec} at {model.graph.cuts[k].name} for {target.words} on "
                words += f"{len(bench.inputs)} frames"
                if shared := len(
                    {*map(identity, bench.inputs)} & fitted_to(config, model, k, codec)
                ):
                    words += (
                        f"; it is fitted to {shared} of them, and what it takes and loses on others"
                        " may be more: give more frames by --calibration"
                    )
                note(words)
                found.append(_Search(cut, codec, target, judges=judges).record())
                note(_words(found[-1]))
    return Dials(dials=tuple(found))


def _left_open(asked: Configuration, target: Target) -> list[tuple[int, str]]:
    left = [(k, codec) for k, codec in asked.coding if codec_named(codec).dial]
    if left and len(asked.coding) > 1:
        raise UsageError(
            f"{target.option}: in the flow {asked.flow} a frame is coded more than once, and what "
            "each costs is not told apart: give codecs with their numbers"
        )
    return left


class _Search:
    """That of one codec at one cut, which `judges` what is lost; whatever is tried is kept."""

    def __init__(self, cut: DialsAtCut, codec: str, target: Target, *, judges: bool) -> None:
        self._cut, self._target, self._judges = cut, target, judges
        self._codec = codec_named(codec)
        self._tried: dict[str, TriedStep] = {}

    def record(self) -> DialRecord:
        """What was found; of what cannot be coded, why."""
        dial = self._codec.dial
        assert dial is not None
        missed = ""
        try:
            found = self._found(dial)
            if found is None:
                found = min(self._tried.values(), key=self._beyond)
                missed = self._why_missed(found)
        except SplitbedError as error:
            found, missed = TriedStep(codec=self._codec.at(dial.usual), kbit=0.0), str(error)
        return DialRecord(
            k=self._cut.k,
            asked=self._codec.name,
            target=self._target.words,
            found=found,
            frames=len(self._cut.crossing),
            missed=missed,
            tried=tuple(self._tried.values()),
        )

    def _found(self, dial: Dial) -> TriedStep | None:
        order = dial.steps()
        if self._target.drop is None:
            order = order[::-1]
        step = first_within(order, dial.ladder, lambda step: self._beyond(self._at(step)))
        if step is None or not self._judges:
            return None if step is None else self._at(step)
        return self._at(step, judged=True)  # of a rate alone nobody would know what it costs

    def _at(self, step: int, *, judged: bool = False) -> TriedStep:
        codec, judged = self._codec.at(step), judged or self._target.drop is not None
        tried = self._tried.get(codec)
        if tried is None or (judged and tried.drop is None):
            self._tried[codec] = (self._cut.judged if judged else self._cut.rated)(codec)
        return self._tried[codec]

    def _beyond(self, tried: TriedStep) -> float:
        """By how much it is beyond the target."""
        if self._target.kbit is not None:
            return tried.kbit - self._target.kbit
        assert self._target.drop is not None
        lost = tried.drop if tried.drop_high is None else tried.drop_high
        if lost is None:
            raise UsageError("nothing is judged here: the results have no metric")
        return lost - self._target.drop - ROUNDING

    def _why_missed(self, nearest: TriedStep) -> str:
        return (
            f"no number of {self._codec.name} reaches {self._target.option} on "
            f"{len(self._cut.crossing)} calibration frames: the nearest, {_at_words(nearest)}"
        )


def _at_words(tried: TriedStep) -> str:
    drop = ""
    if tried.drop is not None:
        drop = f" and loses {drop_words(tried.drop, tried.drop_low, tried.drop_high)}"
    return f"{tried.codec}, takes {tried.kbit:.3g} kbit{drop}"


def _words(one: DialRecord) -> str:
    return one.missed or f"of {len(one.tried)} tried, {_at_words(one.found)}"
