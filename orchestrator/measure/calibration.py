"""Calibration of codecs: what values cross each cut, in frames other than those measured.

The frames are, in this order: those of ``--calibration``; those of the input that are not measured;
photographs that come with scikit-image. They and the ranges are kept with the run.
"""

import importlib.util
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from orchestrator.ask.sweep_config import SweepConfig
from orchestrator.testbed.inputs import ModelInput
from orchestrator.testbed.model import SweptModel
from splitbed.codecs.calibration import calibrated, from_json, to_json
from splitbed.codecs.stage import Range, Setting
from splitbed.errors import MachineError, NodeError, RunError, UsageError
from splitbed.graphs.parts import extract
from splitbed.media.datasets import open_dataset

Item = TypeVar("Item")

FRAMES = 4
PHOTOGRAPHS = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg")


@dataclass(frozen=True)
class Calibration:
    """The ranges of each tensor, by its name, and the frames that they are from."""

    frames: tuple[dict[str, str], ...]
    ranges: Mapping[str, Range]

    @property
    def known(self) -> Setting:
        """What codecs are told."""
        return Setting(self.ranges)

    def text(self) -> str:
        """As ``calibration.json`` holds it."""
        return json.dumps({"frames": self.frames, "ranges": json.loads(to_json(self.ranges))})


def read_calibration(text: str) -> Calibration:
    """What :meth:`Calibration.text` wrote; RunError for anything else."""
    try:
        held = json.loads(text)
        return Calibration(tuple(held["frames"]), from_json(json.dumps(held["ranges"])))
    except (ValueError, KeyError, TypeError) as error:
        raise RunError(f"the run's calibration cannot be read: {error}; start a new run") from None


def calibrate(
    config: SweepConfig,
    model: SweptModel,
    cuts: Iterable[int],
    frames: int = FRAMES,
    note: Callable[[str], None] = lambda _: None,
) -> Calibration:
    """The ranges of what crosses the `cuts`, each by a run of its part 1 on every frame.

    A cut with values that have no range is left out. Raises UsageError for frames that cannot be
    used.
    """
    given = calibration_inputs(config, model, frames)
    note(f"calibrating codecs on {', '.join(one.name for one in given)}")
    fed = [one.tensors for one in given]
    ranges: dict[str, Range] = {}
    for k in cuts:
        part, rest = extract(model.stored, k)
        rest.remove()
        with model.session(part, 0) as session:
            last = model.channels_last
            try:
                ranges |= calibrated((session.run(one) for one in fed), channels_last=last)
            except NodeError as error:  # the cells that need them will say that they are missing
                note(f"{model.graph.cuts[k].name}: {error}")
    return Calibration(tuple(one.facts() for one in given), ranges)


def calibration_inputs(config: SweepConfig, model: SweptModel, frames: int) -> list[ModelInput]:
    """Up to `frames` inputs that are not measured, evenly spread. Raises UsageError."""
    if model.recipe is None:
        seeds = range(config.seed + 1, config.seed + 1 + frames)
        return [ModelInput(model.graph.inputs, seed=seed) for seed in seeds]
    infos, recipe = model.graph.inputs, model.recipe
    if model.calibration:
        measured = [_identity(one.facts()) for one in model.inputs]
        others = [one for one in model.calibration if _identity(one.facts()) not in measured]
        if not others:
            raise UsageError(
                f"--calibration {config.calibration}: all of it is measured; give others"
            )
        return _spread(others, frames)
    if model.others:
        return _spread(list(model.others), frames)
    paths = [_photographs() / name for name in PHOTOGRAPHS[:frames]]
    return [ModelInput(infos, open_dataset(path).frames[0], recipe) for path in paths]


def _identity(facts: dict[str, str]) -> tuple[str | None, str | None]:
    """What tells a picture from others; a frame of a video by its place there."""
    return facts.get("sha256"), facts.get("frame")


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
