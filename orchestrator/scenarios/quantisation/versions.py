"""Versions of a detector: as it is, and pruned and quantised after training (clause 9.4).

original ──> pruned ──> calibrated on frames ──> 8 bits          each is a model file
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from orchestrator.ask.scenario_file import Quantisation
from orchestrator.ask.sweep.config import SweepConfig
from orchestrator.measure.calibration import calibration_inputs
from orchestrator.results.run_folder import RunFolder
from orchestrator.testbed.inputs import ModelInput, open_inputs
from orchestrator.testbed.local import LocalModel
from splitbed.errors import UsageError
from splitbed.graphs.onnx.post_training import quantise
from splitbed.graphs.parts import extract_part, write_portable
from splitbed.model_coders import coder_named
from splitbed.model_coders.decoder import rebuilt
from splitbed.model_coders.encoder import encode
from splitbed.model_data import read_model, write_model
from splitbed.tasks import TASKS
from splitbed.zoo import ZOO

ORIGINAL = "original"
MADE_BY_FILE = "quantisation.json"
"""What the versions in a folder were made by."""


@dataclass(frozen=True)
class Version:
    """A model file, by what was done to make it."""

    name: str
    file: Path

    @property
    def coded_bytes(self) -> int:
        """What crosses when it is sent, coded without loss as ``zstd``."""
        return sum(map(len, encode(read_model(self.file), coder_named("zstd"))))


def check_kind(local: LocalModel) -> None:
    """Raise UsageError for a model that cannot be quantised, or that tells no classes."""
    model = local.model
    if model.graph.format != "onnx":
        raise UsageError(f"{model.name} is of format {model.graph.format}: ONNX is quantised")
    if not TASKS[model.task].classes:
        raise UsageError(f"{model.name} finds nothing that has a class, so no precision by class")


def versions(
    local: LocalModel, config: SweepConfig, asked: Quantisation, folder: Path
) -> list[Version]:
    """The original and what is asked for, as files in ``folder``; a file that is there is kept.

    Raises UsageError for frames that cannot be used and for files that were made by others,
    RunError where the quantiser refuses.
    """
    _check_made_by(asked, folder)
    made = [Version(ORIGINAL, folder / f"{ORIGINAL}.onnx")]
    made += [
        Version(f"pruned {percent} %, quantised", folder / f"pruned-{percent}-quantised.onnx")
        if percent
        else Version("quantised", folder / "quantised.onnx")
        for percent in asked.prune
    ]
    original = made[0].file
    if not original.exists():
        part = extract_part(local.model.stored, 0, local.model.graph.n)
        with _whole(original) as begun:
            write_portable(part, begun)
        part.remove()
    for version, percent in zip(made[1:], asked.prune, strict=True):
        if not version.file.exists():
            _make(version.file, original, percent, _calibration(local, config, asked))
    return made


def inputs_of(local: LocalModel, config: SweepConfig, source: str) -> Sequence[ModelInput]:
    """All frames of ``source``, as the model takes them. Raises UsageError."""
    model, own = local.model, config.replaced(input=source, calibration=None)
    return open_inputs(own, model.graph, model.recipe, ZOO.get(config.model)).every


def _calibration(
    local: LocalModel, config: SweepConfig, asked: Quantisation
) -> Sequence[ModelInput]:
    if asked.calibration:
        return inputs_of(local, config, asked.calibration)[: asked.frames]
    alone = replace(local.model, others=(), calibration=(), siblings=())  # all else is judged
    return calibration_inputs(config, alone, asked.frames)


def _make(file: Path, original: Path, percent: int, frames: Sequence[ModelInput]) -> None:
    pruned = rebuilt(encode(read_model(original), coder_named(f"prune:{percent}")))
    with _whole(file) as begun:
        write_model(pruned, begun)
        quantise(begun, begun, (one.tensors for one in frames))


def _check_made_by(asked: Quantisation, folder: Path) -> None:
    """Raise UsageError where versions in ``folder`` were made by other frames; else write down."""
    made_by = json.dumps(asked.model_dump(mode="json", include={"calibration", "frames"}))
    file = folder / MADE_BY_FILE
    if not file.exists():
        RunFolder(folder).replace(MADE_BY_FILE, made_by)
    elif file.read_bytes() != made_by.encode():
        raise UsageError(
            f"cannot go on in {folder}: models in it were quantised by other frames, which"
            f" {file.name} tells; start a new one"
        )


@contextmanager
def _whole(file: Path) -> Iterator[Path]:
    """A file to write, which becomes ``file`` when all went well and else is gone."""
    begun = file.with_suffix(".begun")
    try:
        yield begun
        begun.replace(file)
    finally:
        begun.unlink(missing_ok=True)
