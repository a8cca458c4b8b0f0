"""Which frames codecs are calibrated on: others than those that are measured.

They are, in this order: those of ``--calibration``; where the input is generated, two of other
seeds; those of the input that are not measured; photographs that come with scikit-image.
"""

import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path

from orchestrator.ask.sweep.config import SweepConfig
from orchestrator.testbed.inputs import ModelInput
from orchestrator.testbed.model import SweptModel
from splitbed.codecs import Codec, codec_named
from splitbed.errors import MachineError, UsageError
from splitbed.media.datasets import open_dataset
from splitbed.media.recipes import PictureRecipe
from splitbed.metrics.resampling import MIN_PICTURES

Identity = tuple[str, str | None]

FRAMES, FITTED_FRAMES = 4, 40
"""That ranges are taken of, and that tables are fitted to, at most."""
FEW = 10
"""With fewer a fitted stage takes some 10 per cent more bits, as it was measured."""
FITTED_BYTES = 128 << 20
"""Of what crosses, that a stage is fitted to: all of it is in memory at once."""
VIDEOS = 2
"""Of generated data, that codecs are calibrated on, and as many that numbers are searched on."""
PHOTOGRAPHS = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg")


def seen(config: SweepConfig, model: SweptModel, k: int, name: str) -> set[Identity]:
    """The frames that a codec knows of at a cut; UsageError where there are none."""
    codec = codec_named(name)
    told = codec.calibrated or codec.weighted
    frames = calibration_inputs(config, model, FRAMES) if told else []
    return {identity(one) for one in frames} | fitted_to(config, model, k, name)


def fitted_to(config: SweepConfig, model: SweptModel, k: int, name: str) -> set[Identity]:
    """Those that its tables are made of; none where it has none."""
    codec = codec_named(name)
    fitted = fitting_inputs(config, model, k, codec) if codec.fitted else []
    return {identity(one) for one in fitted}


def fitting_inputs(
    config: SweepConfig, model: SweptModel, k: int, codec: Codec
) -> list[ModelInput]:
    """Those that a codec is fitted to at a cut, evenly spread. Raises UsageError.

    Of a codec that knows the frame before they are the first ones in a row of one source.
    """
    # a size may depend on the content: such a tensor is refused when it is coded
    nbytes = max(1, sum(abs(info.nbytes) for info in model.graph.cuts[k].tensors))
    count = max(1, min(FITTED_FRAMES, FITTED_BYTES // nbytes))
    if codec.sequential and (known := _of_calibration(config, model)):
        return list(max(known, key=len)[:count])
    return calibration_inputs(config, model, count)


def calibration_inputs(config: SweepConfig, model: SweptModel, frames: int) -> list[ModelInput]:
    """Up to `frames` inputs that are not measured, evenly spread. Raises UsageError."""
    if model.recipe is None:
        return _seeded(model, 0, frames)
    if known := _of_calibration(config, model):
        counts = _shares(known, frames)
        return [
            one for own, count in zip(known, counts, strict=True) for one in _spread(own, count)
        ]
    infos, recipe = model.graph.inputs, model.recipe
    if not isinstance(recipe, PictureRecipe):
        raise UsageError(
            "a codec needs frames to be calibrated on, and all inputs are measured: give more, or"
            " others with --calibration"
        )
    paths = [_photographs() / name for name in PHOTOGRAPHS[:frames]]
    return [ModelInput(infos, open_dataset(path).frames[0], recipe) for path in paths]


def searched_inputs(config: SweepConfig, model: SweptModel) -> list[ModelInput]:
    """Up to `--accuracy-frames` on which numbers of codecs are searched, in their order.

    They are the latter half of each source of ``--calibration``; where the input is generated, two
    of other seeds; those of the input that are not judged, or where these are few the latter half,
    since one video's frames are as like one another as they are near; else photographs. To none of
    them is a codec fitted where there are enough others, see :func:`_of_calibration`. Raises
    UsageError.
    """
    most = config.accuracy_frames
    if model.recipe is None:
        return _seeded(model, FITTED_FRAMES, most)
    known = _siblings(model)[VIDEOS : 2 * VIDEOS]
    if model.calibration:
        known = _given(config, model)
        if sum(map(len, known)) >= 2 * MIN_PICTURES:
            known = [own[len(own) // 2 :] for own in known]
    elif not known and (others := model.others):
        beyond = others[max(most - len(model.inputs), 0) :]
        return list((beyond if len(beyond) >= MIN_PICTURES else others[len(others) // 2 :])[:most])
    elif not known:
        return calibration_inputs(config, model, most)
    counts = _shares(known, most)
    return [one for own, count in zip(known, counts, strict=True) for one in own[:count]]


def _seeded(model: SweptModel, first: int, count: int) -> list[ModelInput]:
    """So many of a model that is fed with seeded numbers, from the first beyond the measured."""
    begin = max(one.seed for one in model.inputs) + 1 + first
    return [ModelInput(model.graph.inputs, seed=seed) for seed in range(begin, begin + count)]


def _of_calibration(config: SweepConfig, model: SweptModel) -> list[Sequence[ModelInput]]:
    """Of each source, the inputs that codecs may be told of; UsageError where all are measured.

    Where numbers are searched they are others than those of the search, unless these are too few.
    """
    known = _given(config, model)
    if known and config.target:
        searched = {identity(one) for one in searched_inputs(config, model)}
        apart = [[one for one in own if identity(one) not in searched] for own in known]
        if sum(map(len, apart)) >= FEW:
            known = [own for own in apart if own]
    return known


def _given(config: SweepConfig, model: SweptModel) -> list[Sequence[ModelInput]]:
    if model.calibration:
        measured = {identity(one) for one in model.inputs}
        others = [
            [one for one in own if identity(one) not in measured] for own in model.calibration
        ]
        if not any(others):
            raise UsageError(
                f"--calibration {config.calibration}: all of it is measured; give others"
            )
        return [own for own in others if own]
    return _siblings(model)[:VIDEOS] or ([model.others] if model.others else [])


def _siblings(model: SweptModel) -> list[Sequence[ModelInput]]:
    """Those of which nothing is measured or judged."""
    given = {one.frame.source for one in (*model.inputs, *model.others) if one.frame}
    return [own for own in model.siblings if own[0].frame and own[0].frame.source not in given]


def _shares(sources: Sequence[Sequence[ModelInput]], count: int) -> list[int]:
    """How many to take of each, as equal as their lengths let them be, `count` together at most."""
    taken = [0] * len(sources)
    by_length = sorted(range(len(sources)), key=lambda place: len(sources[place]))
    for left, place in zip(range(len(sources), 0, -1), by_length, strict=True):
        taken[place] = min(len(sources[place]), (count - sum(taken)) // left)
    return taken


def identity(one: ModelInput) -> Identity:
    """What tells an input from others; a frame of a video by its place there, too."""
    return identity_of(one.facts())


def identity_of(facts: Mapping[str, str]) -> Identity:
    """That of an input with these facts."""
    return facts.get("sha256", facts["name"]), facts.get("frame")


def _spread(items: Sequence[ModelInput], count: int) -> list[ModelInput]:
    if len(items) <= count:
        return list(items)
    return [items[index * len(items) // count] for index in range(count)]


def _photographs() -> Path:
    # find_spec, because importing skimage takes a second
    spec = importlib.util.find_spec("skimage")
    roots = spec.submodule_search_locations if spec else None
    folder = Path(roots[0]) / "data" if roots else None
    if folder is None or not all((folder / name).is_file() for name in PHOTOGRAPHS):
        raise MachineError(
            "the photographs of scikit-image, which calibrate codecs, are not installed: "
            "run 'pip install --force-reinstall scikit-image', or give others with --calibration"
        )
    return folder
