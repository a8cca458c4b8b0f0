"""Layers of a model in another precision: each part is a file of its own.

the part's layers ──> fp16: by a converter                         ──> a version of them
                  ──> int8: calibrated on frames that are not measured ──^
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import replace

from orchestrator.ask.configuration import Configuration
from orchestrator.ask.precision import FP16, INT8
from orchestrator.ask.sweep.config import SweepConfig
from orchestrator.measure.calibration.frames import (
    Identity,
    calibration_inputs,
    identity,
    identity_of,
)
from orchestrator.measure.calibration.record import read_calibration
from orchestrator.results.run_folder import RunFolder
from orchestrator.testbed.inputs import ModelInput
from orchestrator.testbed.model import SweptModel
from splitbed.errors import RunError, SplitbedError, UsageError
from splitbed.flow import Span
from splitbed.graphs.formats import load_graph
from splitbed.graphs.onnx.half import halve
from splitbed.graphs.onnx.post_training import quantise
from splitbed.graphs.parts import store, write_portable
from splitbed.node.delivery import words
from splitbed.tensors import Tensors

QUANTISED_ON = 16
"""Frames, at most, that ranges of 8 bits are taken of."""


def convert(
    config: SweepConfig,
    model: SweptModel,
    asked: Iterable[Configuration],
    note: Callable[[str], None] = lambda _: None,
    check: Callable[[], None] = lambda: None,
) -> None:
    """Have the versions of layers that these need, unless they are there.

    Of one that cannot be made the model has the reason, and `note` is told it: the cells that need
    it will say so. `check` is called between frames, and may raise.
    """
    spans = dict.fromkeys(span for one in asked for span in one.making[1])
    for span in spans:
        made = span in model.versions or span in model.unmade
        if made or span.version not in (FP16, INT8):
            continue
        note(f"converting the layers {span.first} to {span.last} to {span.version}")
        try:
            _convert(config, model, span, check)
        except SplitbedError as error:
            check()
            note(f"{span.version} of the layers {span.first} to {span.last}: {error}")
            model.unmade[span] = str(error)


def keep_quantised_on(
    config: SweepConfig, model: SweptModel, asked: Iterable[Configuration], folder: RunFolder
) -> None:
    """Keep with a run which frames parts in 8 bits have their ranges from, where it has such.

    Raises RunError where it has others from before, and for a folder that is damaged or full.
    """
    if not any(map(_is_quantised, asked)):
        return
    try:
        now = tuple(one.facts() for one in _frames(config, model))
    except UsageError:  # parts that need them say so
        return
    held = read_calibration(folder, model.facts.sha256)
    if not held.quantised_on:
        replace(held, quantised_on=now).keep(folder)
    elif {*map(identity_of, held.quantised_on)} != {*map(identity_of, now)}:
        what = f"--calibration {config.calibration}" if config.calibration else "the input"
        raise RunError(
            f"cannot go on with {folder.path}: parts in {INT8} have their ranges there from other "
            f"frames than {what} gives now; put those back, or start a new run"
        )


def quantised_on(config: SweepConfig, model: SweptModel, asked: Configuration) -> set[Identity]:
    """The frames that ranges of its parts were taken of: they are not judged by them."""
    return {*map(identity, _frames(config, model))} if _is_quantised(asked) else set()


def _is_quantised(asked: Configuration) -> bool:
    return any(span.version == INT8 for span in asked.making[1])


def _frames(config: SweepConfig, model: SweptModel) -> list[ModelInput]:
    return calibration_inputs(config, model, QUANTISED_ON)


def _convert(config: SweepConfig, model: SweptModel, span: Span, check: Callable[[], None]) -> None:
    folder = model.stored.folder / words(span)
    folder.mkdir(exist_ok=True)
    part, file = model.part(span._replace(version="")), folder / "part.onnx"
    try:
        write_portable(part, file)
    finally:
        part.remove()
    if span.version == FP16:
        halve(file, file)
    else:
        reads = {one.name for one in part.inputs}
        quantise(file, file, _fed(config, model, span.first, reads, check))
    model.versions[span] = store(load_graph(file), folder)
    file.unlink()


def _fed(
    config: SweepConfig,
    model: SweptModel,
    first: int,
    reads: Collection[str],
    check: Callable[[], None],
) -> Iterator[Tensors]:
    """What a part reads of each calibration frame, of which all before it is as the model is."""
    with model.session(model.part(Span(0, first)), 0) as session:
        for one in _frames(config, model):
            check()
            given = session.run(one.tensors) if first else one.tensors
            yield {name: given[name] for name in reads}
