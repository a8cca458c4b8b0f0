"""A model run here, in this process: for what needs neither nodes nor a link."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache

from orchestrator.ask.sweep.config import SweepConfig
from orchestrator.testbed.inputs import ModelInput
from orchestrator.testbed.model import SweptModel, load_model
from orchestrator.testbed.scratch import scratch
from splitbed.graphs.parts import Part, extract
from splitbed.runtime.session import PartSession


@dataclass(frozen=True)
class LocalModel:
    """A model on disk and its inputs, all of them."""

    model: SweptModel
    inputs: tuple[ModelInput, ...]
    threads: int

    def session(self, part: Part) -> PartSession:
        """A session on one of its parts, whose file is not needed afterwards."""
        return self.model.session(part, self.threads)

    def whole(self) -> PartSession:
        """A session on all of it."""
        return self.session(extract(self.model.stored, 0)[1])


@contextmanager
def local_model(config: SweepConfig) -> Iterator[LocalModel]:
    """The model and the inputs that `config` asks for; UsageError for what cannot be read."""
    with scratch() as space:
        model = load_model(config, space.folder)
        yield LocalModel(model, (*model.inputs, *model.others), threads=config.ue_threads)


@contextmanager
def opened_once(config: SweepConfig) -> Iterator[Callable[[], LocalModel]]:
    """Gives what opens the model when it is first asked for, and the same one from then on."""
    with ExitStack() as stack:
        yield cache(lambda: stack.enter_context(local_model(config)))
