"""What a model is fed: the frames of a dataset, or seeded random numbers where it takes none."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from orchestrator.ask.sweep.config import SweepConfig
from splitbed.errors import UsageError
from splitbed.graphs.graph import Graph
from splitbed.media.datasets import Dataset, Frame, open_dataset
from splitbed.media.datasets.texts import fitted
from splitbed.media.files import is_there
from splitbed.media.pictures import random_inputs, upright
from splitbed.media.preprocessing import preprocess
from splitbed.media.recipes import Recipe, TokenRecipe
from splitbed.tasks import TASKS
from splitbed.tasks.boxes import Box
from splitbed.tasks.classes import COCO_CLASSES
from splitbed.tensors import TensorInfo, Tensors
from splitbed.v1 import nodes_pb2
from splitbed.wire import MAX_PICTURE_BYTES, input_message, tensor_headers
from splitbed.zoo import AnchorModel


@dataclass(frozen=True)
class ModelInput:
    """One input of a model."""

    infos: tuple[TensorInfo, ...]
    frame: Frame | None = None
    recipe: Recipe | None = None
    seed: int = 0

    @property
    def name(self) -> str:
        """As results call it."""
        return f"random (seed {self.seed})" if self.frame is None else self.frame.name

    @property
    def tensors(self) -> Tensors:
        """What the model takes, made anew each time; UsageError for a file that is damaged."""
        if self.frame is None or self.recipe is None:
            return random_inputs(self.infos, self.seed)
        return preprocess(self.frame.read(), self.recipe, self.infos, self.name)

    @property
    def boxes(self) -> tuple[Box, ...] | None:
        """Its ground truth; None where there is none. Raises UsageError."""
        return None if self.frame is None else self.frame.boxes

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the upright picture, in pixels."""
        assert self.frame is not None
        return upright(self.frame.read(), self.name).size

    def check(self) -> None:
        """Raise UsageError for a file that is damaged, or ground truth that is none."""
        _ = self.tensors, self.boxes

    def facts(self) -> dict[str, str]:
        """What identifies it in run.json."""
        return {"name": self.name} if self.frame is None else self.frame.facts()

    def message(self) -> nodes_pb2.Input:
        """What the UE is sent. Raises UsageError."""
        if self.frame is None or self.recipe is None:
            random = nodes_pb2.RandomTensors(seed=self.seed)
            headers = tensor_headers(self.infos)
            return nodes_pb2.Input(random=random, name=self.name, tensors=headers)
        data = self.frame.read()
        if len(data) > MAX_PICTURE_BYTES:
            raise UsageError(
                f"the file {self.frame.source} has {len(data) / 1e6:.0f} MB: a node takes up to "
                f"{MAX_PICTURE_BYTES / 1e6:.0f}"
            )
        return input_message(data, self.recipe, self.name, self.infos)


@dataclass(frozen=True)
class Inputs:
    """All the inputs that were given, and the dataset that they are of, if any."""

    every: Sequence[ModelInput]
    dataset: Dataset | None
    calibration: Sequence[Sequence[ModelInput]] = ()
    """Of each source, those that codecs are to be calibrated on, where any were given."""
    siblings: Sequence[Sequence[ModelInput]] = ()
    """Of each dataset like this one, that has none of its frames, all inputs."""

    def measured(self, most: int) -> tuple[ModelInput, ...]:
        """Those that a sweep measures: the first, as many as every cell has frames for."""
        return tuple(self.every[:most])

    @property
    def is_sequence(self) -> bool:
        """Whether they follow one another in time."""
        return self.dataset is not None and self.dataset.is_sequence


def open_inputs(
    config: SweepConfig, graph: Graph, recipe: Recipe | None, anchor: AnchorModel | None
) -> Inputs:
    """The inputs that `config` asks for; those of the `anchor` model, where none are given.

    Raises UsageError for what cannot be opened, or does not fit the model.
    """
    if recipe is None:
        if config.input:
            raise UsageError(
                f"--input {config.input}: {config.model} takes no picture, sound or text but "
                + ", ".join(f"{i.name} {i.datatype}{list(i.shape)}" for i in graph.inputs)
            )
        return Inputs((ModelInput(graph.inputs, seed=config.seed),), None)
    task = anchor.task if anchor else config.task
    # behind the background come the classes that annotations may name
    classes = TASKS[task].classes[1:] if task and task in TASKS else ()
    usual = anchor.dataset if anchor else None

    def of(source: str | None) -> Dataset:
        dataset = open_dataset(source, classes or COCO_CLASSES)
        return fitted(dataset, recipe.length) if isinstance(recipe, TokenRecipe) else dataset

    def fed(dataset: Dataset) -> list[ModelInput]:
        return [ModelInput(graph.inputs, frame, recipe) for frame in dataset.frames]

    def opened(source: str) -> list[ModelInput]:
        return named(source, fed(of(source)))

    dataset = of(config.input or usual)
    every = fed(dataset)

    given = sources(config.calibration, "--calibration") if config.calibration else ()
    calibration = [opened(source) for source in given]
    siblings = [] if calibration else [opened(source) for source in dataset.siblings]
    return Inputs(every, dataset, calibration, siblings)


def sources(given: str, option: str) -> list[str]:
    """What is named between commas; a path that exists is one, whatever it is called.

    Raises UsageError where one is named twice, or none.
    """
    if is_there(given):
        return [given]
    found = [one.strip() for one in given.split(",")]
    if not all(found) or len(set(found)) < len(found):
        raise UsageError(f"{option} {given}: name each input once, with a comma between two")
    return found


def named(source: str | None, inputs: Sequence[ModelInput]) -> list[ModelInput]:
    """The inputs under names that no other source has."""
    return [
        replace(one, frame=replace(one.frame, name=f"{source}/{one.frame.name}"))
        for one in inputs
        if one.frame is not None
    ]
