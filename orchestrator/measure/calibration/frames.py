"""Which frames codecs are calibrated on: others than those that are measured.

They are, in this order: those of ``--calibration``; those of the input that are not measured;
photographs that come with scikit-image.
"""

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from orchestrator.ask.sweep_config import SweepConfig
from orchestrator.testbed.inputs import ModelInput
from orchestrator.testbed.model import SweptModel
from splitbed.codecs import Codec, codec_named
from splitbed.errors import MachineError, UsageError
from splitbed.media.datasets import open_dataset

Item = TypeVar("Item")
Identity = tuple[str, str | None]

FRAMES, FITTED_FRAMES = 4, 40
"""That ranges are taken of, and that tables are fitted to, at most."""
FEW = 10
"""With fewer a fitted stage takes some 10 per cent more bits, as it was measured."""
FITTED_BYTES = 128 << 20
"""Of what crosses, that a stage is fitted to: all of it is in memory at once."""
PHOTOGRAPHS = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg")


def seen(config: SweepConfig, model: SweptModel, k: int, name: str) -> set[Identity]:
    """The frames that a codec knows of at a cut; UsageError where there are none."""
    codec = codec_named(name)
    frames = calibration_inputs(config, model, FRAMES) if codec.calibrated or codec.fitted else []
    fitted = fitting_inputs(config, model, k, codec) if codec.fitted else []
    return {identity(one) for one in (*frames, *fitted)}


def fitting_inputs(
    config: SweepConfig, model: SweptModel, k: int, codec: Codec
) -> list[ModelInput]:
    """Those that a codec is fitted to at a cut, evenly spread. Raises UsageError.

    Of a codec that knows the frame before they are the first ones in a row.
    """
    # a size may depend on the content: such a tensor is refused when it is coded
    nbytes = max(1, sum(abs(info.nbytes) for info in model.graph.cuts[k].tensors))
    count = max(1, min(FITTED_FRAMES, FITTED_BYTES // nbytes))
    return _inputs(config, model, count, in_order=codec.sequential)


def calibration_inputs(config: SweepConfig, model: SweptModel, frames: int) -> list[ModelInput]:
    """Up to `frames` inputs that are not measured, evenly spread. Raises UsageError."""
    return _inputs(config, model, frames, in_order=False)


def _inputs(
    config: SweepConfig, model: SweptModel, frames: int, *, in_order: bool
) -> list[ModelInput]:
    if model.recipe is None:
        seeds = range(config.seed + 1, config.seed + 1 + frames)
        return [ModelInput(model.graph.inputs, seed=seed) for seed in seeds]
    infos, recipe = model.graph.inputs, model.recipe
    if model.calibration:
        measured = {identity(one) for one in model.inputs}
        others = [one for one in model.calibration if identity(one) not in measured]
        if not others:
            raise UsageError(
                f"--calibration {config.calibration}: all of it is measured; give others"
            )
        return others[:frames] if in_order else _spread(others, frames)
    if model.others:
        others = list(model.others)
        return others[:frames] if in_order else _spread(others, frames)
    paths = [_photographs() / name for name in PHOTOGRAPHS[:frames]]
    return [ModelInput(infos, open_dataset(path).frames[0], recipe) for path in paths]


def identity(one: ModelInput) -> Identity:
    """What tells an input from others; a frame of a video by its place there, too."""
    facts: Mapping[str, str] = one.facts()
    return facts.get("sha256", one.name), facts.get("frame")


def _spread(items: list[Item], count: int) -> list[Item]:
    if len(items) <= count:
        return items
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
