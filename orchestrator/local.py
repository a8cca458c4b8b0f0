"""A model run here, in this process: for what needs neither nodes nor a link."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from orchestrator.config import SweepConfig
from orchestrator.model import SweptModel, load_model
from orchestrator.scratch import scratch
from splitbed.graphs.parts import Part, extract
from splitbed.media.pictures import Picture, load_pictures, preprocess, random_inputs
from splitbed.runtime.session import PartSession
from splitbed.tensors import Tensors


@dataclass(frozen=True)
class LocalInput:
    """One input of a model: a picture, or seeded random numbers where it takes none."""

    name: str
    model: SweptModel
    picture: Picture | None
    seed: int

    @property
    def tensors(self) -> Tensors:
        """What the model takes, made anew each time; UsageError for a picture that is damaged."""
        infos = self.model.graph.inputs
        if self.picture is None or self.model.recipe is None:
            return random_inputs(infos, self.seed)
        data = self.picture.read()
        return {infos[0].name: preprocess(data, self.model.recipe, self.picture.name)}

    def check(self) -> None:
        """Raise UsageError for a picture that is damaged."""
        _ = self.tensors


@dataclass(frozen=True)
class LocalModel:
    """A model on disk and its inputs, all of them."""

    model: SweptModel
    inputs: tuple[LocalInput, ...]
    threads: int

    def session(self, part: Part) -> PartSession:
        """A session on one of its parts, whose file is not needed afterwards."""
        session = PartSession(part.path, part.inputs, part.outputs, part.passthrough, self.threads)
        part.remove()
        return session

    def whole(self) -> PartSession:
        """A session on all of it."""
        return self.session(extract(self.model.stored, 0)[1])


@contextmanager
def local_model(config: SweepConfig) -> Iterator[LocalModel]:
    """The model and the inputs that `config` asks for; UsageError for what cannot be read."""
    with scratch() as space:
        model = load_model(config, space.folder)
        pictures = [None] if model.recipe is None else load_pictures(config.input)
        names = [f"random (seed {config.seed})" if p is None else p.name for p in pictures]
        inputs = tuple(
            LocalInput(name, model, picture, config.seed)
            for name, picture in zip(names, pictures, strict=True)
        )
        yield LocalModel(model, inputs, threads=config.ue_threads)
