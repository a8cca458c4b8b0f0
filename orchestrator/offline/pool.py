"""Several inputs taken together: videos, seeds or folders, so many frames of each."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate

import msgspec
import numpy as np

from orchestrator.ask.sweep.config import SweepConfig
from orchestrator.results.facts import InputFacts
from orchestrator.testbed.inputs import ModelInput, named, open_inputs, sources
from orchestrator.testbed.local import LocalModel, local_model
from orchestrator.testbed.model import SweptModel
from splitbed.metrics.resampling import MIN_PICTURES, Array, resamples

MIN_VIDEOS = 3
"""Of fewer, the figures with one left out say little."""
APART = 1 << 20
"""Seeds of inputs that are measured: those between may be calibrated on."""


@dataclass(frozen=True)
class Pool:
    """A model with the inputs of all videos, in their order; ``frames`` are how many of each."""

    local: LocalModel
    frames: tuple[int, ...]

    @property
    def starts(self) -> tuple[int, ...]:
        """The place of the first frame of each."""
        return (0, *accumulate(self.frames[:-1]))

    @property
    def by_video(self) -> bool:
        """Whether resamples leave out a video each, and are not of single pictures."""
        return len(self.frames) >= MIN_VIDEOS

    @cached_property
    def drawn(self) -> Array | None:
        """How often each resample has each frame; None where these are too few to say anything."""
        if self.by_video:
            return 1 - np.repeat(np.eye(len(self.frames)), self.frames, axis=1)
        count = sum(self.frames)
        if count < MIN_PICTURES:
            return None
        return resamples(count, is_sequence=self.local.model.is_sequence)

    @property
    def resamples_words(self) -> str:
        """What these resamples are, in words."""
        if self.by_video:
            return f"each of {len(self.frames)} videos left out"
        return f"95 % of resamples of {sum(self.frames)} pictures"


@contextmanager
def pooled(config: SweepConfig) -> Iterator[Pool]:
    """The model of `config` with so many frames of each of its inputs; UsageError."""
    first, *more = sources(config.input, "--input") if config.input else (None,)
    with local_model(config.replaced(input=first)) as local:
        model = local.model
        if not more:
            fed = local if model.recipe else _fed(local, _noise(config, model), ())
            yield Pool(fed, (len(fed.model.inputs),))
            return
        videos = [named(first, model.inputs)]
        others = named(first, model.others)
        for source in more:
            measured, left = _inputs(config, model, source)
            videos.append(named(source, measured))
            others += named(source, left)
        together = tuple(one for video in videos for one in video)
        for one in together:
            one.check()
        yield Pool(_fed(local, together, tuple(others)), tuple(map(len, videos)))


def _fed(
    local: LocalModel, inputs: tuple[ModelInput, ...], others: tuple[ModelInput, ...]
) -> LocalModel:
    """The model with these inputs, and those that are not measured, in place of its own."""
    told = tuple(InputFacts.from_plain(one.facts()) for one in inputs)
    facts = msgspec.structs.replace(local.model.facts, inputs=told)
    model = replace(local.model, inputs=inputs, others=others, facts=facts)
    return replace(local, model=model, inputs=(*inputs, *others))


def _noise(config: SweepConfig, model: SweptModel) -> tuple[ModelInput, ...]:
    """As many seeded inputs as frames are asked for, of seeds that no calibration takes."""
    seeds = (config.seed + place * APART for place in range(config.least_runs))
    return tuple(ModelInput(model.graph.inputs, seed=seed) for seed in seeds)


def _inputs(
    config: SweepConfig, model: SweptModel, source: str | None
) -> tuple[Sequence[ModelInput], Sequence[ModelInput]]:
    """Those of another source that are measured, and the others."""
    asked = config.replaced(input=source, task=model.task, calibration=None)
    given = open_inputs(asked, model.graph, model.recipe, None)
    measured = given.measured(config.least_runs)
    return measured, given.every[len(measured) :]
